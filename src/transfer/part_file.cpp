// SPDX-License-Identifier: Apache-2.0
#include "transfer/part_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "aws/sigv4.hpp"

namespace trainyard::transfer {

namespace {

// Smaller files are written at once; reserving costs them more than it brings.
constexpr uint64_t kReserveFrom = 1 << 20;

std::string short_hash(std::string_view text) {
  return aws::payload_hash_of(text).substr(0, 16);
}

bool has_name(const struct stat& open, const fs::path& path) {
  struct stat named {};
  return ::lstat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

struct Locked {
  Fd file;
  struct stat state;
};

// Opens and locks. Between the two another process may have made it the target.
Result<Locked> open_locked(const fs::path& path) {
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    Fd file = TRY(open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return fail_errno(errno, "locking " + path.string());
      break;
    }
    struct stat state {};
    if (::fstat(file.get(), &state) != 0) return fail_errno(errno, "reading " + path.string());
    if (has_name(state, path)) return Locked{std::move(file), state};
  }
  return fail(Code::unavailable, "{} is being filled by another process", path.string());
}

Result<> reserve(int fd, uint64_t size, const fs::path& path) {
  // The length stays what was written: it is where a later process goes on.
  auto length = static_cast<off_t>(size);
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, length) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
  return fail_errno(errno, fmt::format("reserving {} bytes for {}", size, path.string()));
}

// How many of the bytes may be written past the page cache.
size_t direct_bytes(std::string_view bytes, uint64_t offset) {
  bool is_aligned = reinterpret_cast<uintptr_t>(bytes.data()) % kBlockBytes == 0;
  return is_aligned && offset % kBlockBytes == 0 ? bytes.size() / kBlockBytes * kBlockBytes : 0;
}

}  // namespace

std::string PartFile::stem_of(const std::string& target_name) {
  return ".part-" + short_hash(target_name) + "-";
}

std::string PartFile::name_of(const std::string& target_name, const Origin& origin) {
  std::string order = origin.is_in_order ? "" : "-ranges";
  return stem_of(target_name) + short_hash(fmt::format("{}|{}", origin.text, origin.size)) + order;
}

Result<PartFile> PartFile::open(const fs::path& target, const Origin& origin, Way way) {
  fs::path path = target.parent_path() / name_of(target.filename().string(), origin);
  Locked locked = TRY(open_locked(path));
  PartFile part(std::move(locked.file), path, target);
  auto length = static_cast<uint64_t>(locked.state.st_size);
  bool is_useful = !origin.text.empty() && origin.is_in_order && length <= origin.size;
  if (is_useful) {
    part.kept_ = length;
  } else if (length > 0) {
    TRY(part.clear());
  }
  if (origin.size >= kReserveFrom) TRY(reserve(part.file_.get(), origin.size, target));
  if (way == Way::direct) part.open_direct();
  return part;
}

void PartFile::open_direct() {
  // By its number: the path may be another file's since.
  std::string path = fmt::format("/proc/self/fd/{}", file_.get());
  direct_ = Fd(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
}

Result<> PartFile::write(std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    size_t direct = direct_ ? direct_bytes(bytes, offset) : 0;
    int fd = direct > 0 ? direct_.get() : file_.get();
    size_t length = direct > 0 ? direct : bytes.size();
    ssize_t count = ::pwrite(fd, bytes.data(), length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EINVAL && direct > 0) {
      direct_.reset();  // it can be opened so, and no more
      continue;
    }
    if (count < 0) return fail_errno(errno, "writing " + target_.string());
    bytes.remove_prefix(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Result<size_t> PartFile::read(std::span<char> bytes, uint64_t offset) const {
  size_t count = TRY(read_at(file_.get(), bytes, offset));
  if (direct_) {
    ::posix_fadvise(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(count),
                    POSIX_FADV_DONTNEED);
  }
  return count;
}

bool PartFile::is_empty() const {
  struct stat info {};
  return ::fstat(file_.get(), &info) == 0 && info.st_size == 0;
}

Result<> PartFile::clear() {
  kept_ = 0;
  if (::ftruncate(file_.get(), 0) == 0) return {};
  return fail_errno(errno, "truncating " + path_.string());
}

Result<> PartFile::commit() {
  if (::rename(path_.c_str(), target_.c_str()) == 0) return {};
  return fail_errno(errno, "renaming to " + target_.string());
}

void PartFile::remove() {
  ::unlink(path_.c_str());
}

void remove_leftover(const fs::path& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
}

}  // namespace trainyard::transfer
