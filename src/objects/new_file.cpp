// SPDX-License-Identifier: Apache-2.0
#include "objects/new_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::objects {

fs::path path_of(const fs::path& folder, std::string_view name) {
  return folder / name.substr(0, 2) / name;
}

Result<Fd> make_file(const fs::path& path, int flags) {
  auto fd = open_file(path, O_RDWR | O_CREAT | flags, kFileMode);
  if (!fd && fd.error().code == Code::not_found) {
    TRY(make_directories(path.parent_path(), 0700));
    fd = open_file(path, O_RDWR | O_CREAT | flags, kFileMode);
  }
  if (!fd) return fd;
  // Whatever the umask took away.
  if (::fchmod(fd->get(), kFileMode) != 0) return fail_errno(errno, "making an object's file");
  return fd;
}

Result<NewFile> NewFile::create(const fs::path& folder) {
  std::string name = random_hex(16);
  fs::path path = path_of(folder, name);
  Fd fd = TRY(make_file(path, O_EXCL));
  return NewFile(std::move(path), std::move(name), std::move(fd));
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::move(other.name_)),
      fd_(std::move(other.fd_)),
      is_kept_(std::exchange(other.is_kept_, true)) {}

NewFile::~NewFile() {
  if (!is_kept_) ::unlink(path_.c_str());
}

Result<> reserve(int fd, uint64_t offset, uint64_t size_bytes) {
  if (size_bytes == 0) return {};
  int result = ::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                           static_cast<off_t>(size_bytes));
  // Not every file system can reserve; those find out while writing.
  if (result != 0 && (errno == ENOSPC || errno == EFBIG)) {
    return fail(Code::exhausted, "the disk of the data dir has no room for {}",
                format_bytes(size_bytes));
  }
  return {};
}

Result<> sync(int fd) {
  if (::fdatasync(fd) != 0) return fail_errno(errno, "syncing an object");
  return {};
}

}  // namespace trainyard::objects
