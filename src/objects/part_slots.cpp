// SPDX-License-Identifier: Apache-2.0
#include "objects/part_slots.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/random.hpp"
#include "objects/new_file.hpp"

namespace trainyard::objects {

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLeastStride = 5 * kMiB;  // what S3 asks of all parts but the last
// The largest object of S3; no file system is asked for a larger file.
constexpr uint64_t kMostBytes = uint64_t{5} << 40;

// What the parts of this upload are apart, as far as this one tells. The first part is as long as
// all but the last. Another one may be the last: but those are rarely whole MiB.
uint64_t stride_from(int number, uint64_t size_bytes) {
  bool is_telling = number == 1 || (size_bytes >= kLeastStride && size_bytes % kMiB == 0);
  return is_telling ? size_bytes : 0;
}

}  // namespace

PartSlots::Lease::Lease(Lease&& other) noexcept
    : slots_(std::exchange(other.slots_, nullptr)),
      upload_(std::move(other.upload_)),
      file_(std::move(other.file_)),
      stride_(other.stride_),
      fd_(std::move(other.fd_)) {}

PartSlots::Lease::~Lease() {
  if (slots_ != nullptr) slots_->release(upload_);
}

PartSlots::Closing::Closing(Closing&& other) noexcept
    : slots_(std::exchange(other.slots_, nullptr)), upload_(std::move(other.upload_)) {}

PartSlots::Closing::~Closing() {
  if (slots_ == nullptr) return;
  slots_->table_.with([this](Table& table) { table.closing.erase(upload_); });
}

void PartSlots::open(const std::string& upload) {
  std::string file = random_hex(16);
  table_.with([&](Table& table) {
    if (table.open.size() >= most_) {
      auto age = [](const auto& entry) {
        return entry.second.writers > 0 ? UINT64_MAX : entry.second.begun;
      };
      auto oldest = std::min_element(table.open.begin(), table.open.end(),
                                     [&](const auto& a, const auto& b) { return age(a) < age(b); });
      if (oldest == table.open.end() || oldest->second.writers > 0) return;
      table.open.erase(oldest);
    }
    Uploaded added;
    added.file = std::move(file);
    added.begun = ++table.begun;
    table.open.emplace(upload, std::move(added));
  });
}

bool PartSlots::hand_out(Uploaded& upload, int number, uint64_t size_bytes) {
  if (upload.stride == 0) {
    uint64_t stride = stride_from(number, size_bytes);
    if (stride == 0 || stride > kMostBytes) return false;
    upload.stride = stride;
  }
  auto place = static_cast<size_t>(number);
  if (size_bytes > upload.stride || place > kMostBytes / upload.stride) return false;
  if (upload.taken.size() <= place) upload.taken.resize(place + 1);
  if (upload.taken[place]) return false;
  upload.taken[place] = true;
  ++upload.writers;
  return true;
}

std::optional<PartSlots::Lease> PartSlots::take(const std::string& upload, int number,
                                                uint64_t size_bytes) {
  if (size_bytes == 0) return std::nullopt;
  Lease lease(*this, upload);
  bool is_mine = table_.with([&](Table& table) {
    auto found = table.open.find(upload);
    if (found == table.open.end() || !hand_out(found->second, number, size_bytes)) return false;
    lease.file_ = found->second.file;
    lease.stride_ = found->second.stride;
    return true;
  });
  if (!is_mine) {
    lease.slots_ = nullptr;
    return std::nullopt;
  }
  auto fd = make_file(path_of(folder_, lease.file_), 0);
  if (!fd) return std::nullopt;
  lease.fd_ = std::move(*fd);
  // end() may have removed the file before it was made.
  bool is_open = table_.with([&](const Table& table) { return table.open.count(upload) > 0; });
  if (!is_open) {
    ::unlink(path_of(folder_, lease.file_).c_str());
    return std::nullopt;
  }
  return lease;
}

std::optional<PartSlots::Closing> PartSlots::close(const std::string& upload) {
  bool is_mine = table_.with([&](Table& table) {
    auto found = table.open.find(upload);
    if (found != table.open.end()) {
      if (found->second.writers > 0) return false;
      table.open.erase(found);
    }
    return table.closing.insert(upload).second;
  });
  return is_mine ? std::optional<Closing>(Closing(*this, upload)) : std::nullopt;
}

void PartSlots::end(const std::string& upload) {
  std::string file = table_.with([&](Table& table) {
    auto entry = table.open.extract(upload);
    return entry ? entry.mapped().file : std::string();
  });
  if (!file.empty()) ::unlink(path_of(folder_, file).c_str());
}

void PartSlots::release(const std::string& upload) {
  table_.with([&](Table& table) {
    auto found = table.open.find(upload);
    if (found != table.open.end()) --found->second.writers;
  });
}

}  // namespace trainyard::objects
