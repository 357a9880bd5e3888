// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_check.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "transfer/record_verdict.hpp"

namespace trainyard::transfer {

namespace {

class Check {
 public:
  Check(std::span<const NamedFile> files, uint64_t budget_bytes, const std::stop_token& stop)
      : files_(files), budget_(budget_bytes), stop_(stop), found_(files.size()) {}

  // One thread's part of the work.
  void work() {
    for (size_t i = next_++; i < files_.size() && !stop_.stop_requested(); i = next_++) {
      // Once one file is too much, those behind it are left for later, unless they are known.
      found_[i] = verdict_of(files_[i].file, stop_, [&](uint64_t size) { return reserve(size); });
    }
  }

  CheckedFiles finish() {
    CheckedFiles checked;
    checked.scanned_bytes = used_;
    for (size_t i = 0; i < files_.size(); ++i) add(files_[i], found_[i], checked);
    return checked;
  }

 private:
  bool reserve(uint64_t size) {
    if (is_used_up_) return false;
    uint64_t used = used_;
    while (size <= budget_ - used) {
      if (used_.compare_exchange_weak(used, used + size)) return true;
    }
    is_used_up_ = true;
    return false;
  }

  static void add(const NamedFile& file, const std::optional<Result<RecordVerdict>>& found,
                  CheckedFiles& checked) {
    bool is_left = !found || (!*found && (found->error().code == Code::exhausted ||
                                          found->error().code == Code::cancelled));
    if (is_left) {
      checked.left.push_back(file);
    } else if (!*found) {
      checked.unreadable.push_back({file.name, found->error()});
    } else if (const RecordVerdict& verdict = **found; verdict.is_tfrecord) {
      ++checked.tfrecord_files;
      checked.records += verdict.records;
      if (verdict.first_broken) checked.broken.push_back({file.name, verdict});
    } else if (!verdict.why_not.empty() && has_record_name(file.name)) {
      checked.misnamed.push_back({file.name, verdict});
    }
  }

  std::span<const NamedFile> files_;
  uint64_t budget_;
  const std::stop_token& stop_;
  std::atomic<size_t> next_ = 0;
  std::atomic<uint64_t> used_ = 0;
  std::atomic<bool> is_used_up_ = false;
  std::vector<std::optional<Result<RecordVerdict>>> found_;  // each is written by one thread
};

}  // namespace

CheckedFiles check_files(std::span<const NamedFile> files, uint64_t budget_bytes, size_t threads,
                         const std::stop_token& stop) {
  Check check(files, budget_bytes, stop);
  {
    std::vector<std::jthread> others;
    size_t count = std::min(std::max<size_t>(threads, 1), files.size());
    for (size_t i = 1; i < count; ++i) others.emplace_back([&] { check.work(); });
    check.work();
  }
  return check.finish();
}

std::string broken_text(const CheckedFile& file) {
  const BrokenRecord& first = *file.verdict.first_broken;
  std::string text = fmt::format(
      "{}: record {}, at byte {}{}: {}", file.name, first.index, first.offset,
      file.verdict.compression == RecordCompression::none ? "" : " (unpacked)", first.what);
  if (file.verdict.broken_records > 1) {
    text += fmt::format("; {} more of its records are broken", file.verdict.broken_records - 1);
  }
  return text;
}

}  // namespace trainyard::transfer
