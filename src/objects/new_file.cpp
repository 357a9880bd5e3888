// SPDX-License-Identifier: Apache-2.0
#include "objects/new_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <thread>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/md5_beside.hpp"

namespace trainyard::objects {

namespace {

constexpr size_t kBuffer = 1 << 20;  // what ext4 takes fastest: data_plane.md 2

constexpr size_t kSmallBuffer = 64 << 10;
constexpr uint64_t kWorthThread = 8 << 20;
constexpr size_t kLargeBuffers = 32;  // for so many bodies at once

// One body that arrives.
class Counted {
 public:
  explicit Counted(std::atomic<size_t>& at_once) : at_once_(at_once), number_(++at_once) {}
  ~Counted() { --at_once_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  // One more thread makes it faster; with as many bodies as cores it would only cost.
  bool has_idle_core() const { return number_ < std::max(2u, std::thread::hardware_concurrency()); }
  size_t buffer_bytes() const { return number_ > kLargeBuffers ? kSmallBuffer : kBuffer; }

 private:
  std::atomic<size_t>& at_once_;
  size_t number_;
};

// The checksum that the client announced: in a header, or in a trailer that has arrived by now.
std::optional<std::string> claimed_checksum(const Claims& claims, const http::Body& body,
                                            ChecksumAlgorithm algorithm) {
  if (claims.checksum) return claims.checksum;
  http::Headers trailers = body.trailers();
  auto value = trailers.find(header_name(algorithm));
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

Answer<> check_claims(const Claims& claims, const http::Body& body, const Stored& stored) {
  auto algorithm = stored.checksum.algorithm;
  if (auto claimed = claimed_checksum(claims, body, algorithm)) {
    auto raw = from_base64(*claimed);
    if (!raw || raw->size() != digest_size(algorithm)) {
      return refuse("InvalidRequest",
                    fmt::format("Value for {} header is invalid.", header_name(algorithm)));
    }
    if (*claimed != stored.checksum.value) {
      return refuse("BadDigest", fmt::format("The {} you specified did not match the calculated "
                                             "checksum.",
                                             api_name(algorithm)));
    }
  }
  if (claims.md5) {
    auto raw = from_base64(*claims.md5);
    if (!raw || raw->size() != 16) {
      return refuse("InvalidDigest", "The Content-MD5 you specified was invalid.");
    }
    if (*raw != stored.md5) {
      return refuse("BadDigest", "The Content-MD5 you specified did not match what we received.");
    }
  }
  return {};
}

}  // namespace

fs::path path_of(const fs::path& folder, std::string_view name) {
  return folder / name.substr(0, 2) / name;
}

Result<NewFile> NewFile::create(const fs::path& folder) {
  std::string name = random_hex(16);
  fs::path path = path_of(folder, name);
  auto fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, kFileMode);
  if (!fd && fd.error().code == Code::not_found) {
    TRY(make_directories(path.parent_path(), 0700));
    fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, kFileMode);
  }
  NewFile file(path, name, TRY(std::move(fd)));
  // Whatever the umask took away.
  if (::fchmod(file.fd(), kFileMode) != 0) return fail_errno(errno, "making an object's file");
  return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::move(other.name_)),
      fd_(std::move(other.fd_)),
      is_kept_(std::exchange(other.is_kept_, true)) {}

NewFile::~NewFile() {
  if (!is_kept_) ::unlink(path_.c_str());
}

Result<> NewFile::reserve(uint64_t size_bytes) {
  if (size_bytes == 0) return {};
  int result = ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes));
  // Not every file system can reserve; those find out while writing.
  if (result != 0 && (errno == ENOSPC || errno == EFBIG)) {
    return fail(Code::exhausted, "the disk of the data dir has no room for {}",
                format_bytes(size_bytes));
  }
  return {};
}

Result<> NewFile::sync() {
  if (::fdatasync(fd_.get()) != 0) return fail_errno(errno, "syncing an object");
  return {};
}

Answer<Stored> store_body(const fs::path& folder, Quota& quota, std::atomic<size_t>& at_once,
                          http::Body& body, const Claims& claims) {
  auto algorithm = claims.algorithm.value_or(ChecksumAlgorithm::crc64nvme);
  Quota::Share share(quota);
  TRY(share.grow_to(body.length().value_or(0)));
  Stored stored{TRY(NewFile::create(folder)), std::move(share), 0, "", {algorithm, "", false}};
  // Below that, finding room while writing costs less.
  if (body.length() >= kBuffer) TRY(stored.file.reserve(*body.length()));
  auto digest = make_digest(algorithm);
  bool has_md5 = !claims.is_etag_opaque || claims.md5 || !claims.checksum;
  Counted counted(at_once);
  size_t room = static_cast<size_t>(
      std::clamp<uint64_t>(body.length().value_or(kBuffer), 1, counted.buffer_bytes()));
  bool is_beside = has_md5 && body.length() >= kWorthThread && counted.has_idle_core();
  auto buffer = std::make_unique_for_overwrite<char[]>(room);
  auto other = std::make_unique_for_overwrite<char[]>(is_beside ? room : 0);
  std::optional<Md5Beside> beside;  // after the buffers that it reads
  if (is_beside) beside.emplace();
  auto md5 = has_md5 && !is_beside ? make_md5() : nullptr;
  size_t filled = 0;
  for (bool is_end = false; !is_end;) {
    size_t count = TRY(body.read({buffer.get() + filled, room - filled}));
    is_end = count == 0;
    // While they are in the cache.
    digest->add({buffer.get() + filled, count});
    if (md5) md5->add({buffer.get() + filled, count});
    filled += count;
    if (filled < room && !is_end) continue;
    stored.size += filled;
    TRY(stored.share.grow_to(stored.size));
    if (beside) beside->add({buffer.get(), filled});
    TRY(write_all(stored.file.fd(), {buffer.get(), filled}));
    if (beside) std::swap(buffer, other);  // what was in that one is done with
    filled = 0;
  }
  if (md5) stored.md5 = md5->finish();
  if (beside) stored.md5 = beside->finish();
  stored.checksum.value = to_base64(digest->finish());
  TRY(check_claims(claims, body, stored));
  TRY(stored.file.sync());
  return stored;
}

}  // namespace trainyard::objects
