// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "transfer/archive.hpp"
#include "transfer/tar_header.hpp"

namespace trainyard::transfer {

namespace {

constexpr uint64_t kReadAheadBytes = 1
                                     << 20;  // files from this size on are announced to the kernel

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// Takes the descriptor over.
Result<std::vector<std::string>> sorted_names(int fd, const std::string& shown) {
  std::unique_ptr<DIR, CloseFolder> folder(::fdopendir(fd));
  if (!folder) {
    int error = errno;
    ::close(fd);
    return fail_errno(error, "reading " + shown);
  }
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return fail_errno(errno, "reading " + shown);
  std::sort(names.begin(), names.end());
  return names;
}

// Walks by descriptors, so that no depth of folders is too long a path and nothing that is
// exchanged for a link meanwhile leads out.
class Packer {
 public:
  Packer(const fs::path& root, const ByteSink& sink, const std::function<void(uint64_t)>& on_bytes)
      : root_(root), on_bytes_(on_bytes), output_(sink) {}

  Result<> pack() {
    Fd folder = TRY(open_file(root_, O_RDONLY | O_DIRECTORY));
    TRY(add_entries(folder.get(), ""));
    TRY(output_.write_zeros(2 * kTarBlock));
    return output_.finish();
  }

 private:
  std::string shown(const std::string& name) const { return (root_ / name).string(); }

  // An entry as it was when it was opened. Nothing: it vanished, or became something else.
  Result<std::optional<Fd>> open_entry(int folder, const char* leaf, const std::string& name,
                                       int flags) const {
    // What was replaced by a FIFO meanwhile must not be waited for.
    Fd fd(::openat(folder, leaf, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags));
    if (fd) return std::optional<Fd>(std::move(fd));
    bool is_gone = errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENXIO;
    if (is_gone) return std::optional<Fd>();
    return fail_errno(errno, "reading " + shown(name));
  }

  // `name` is the folder's with a slash at its end, or empty.
  Result<> add_entries(int folder, const std::string& name) {
    Fd own(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return fail_errno(errno, "reading " + shown(name));
    auto leaves = TRY(sorted_names(own.release(), shown(name)));
    for (const std::string& leaf : leaves) TRY(add(folder, leaf, name + leaf));
    return {};
  }

  Result<> add(int folder, const std::string& leaf, const std::string& name) {
    struct stat info {};
    if (::fstatat(folder, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return {};
      return fail_errno(errno, "reading " + shown(name));
    }
    if (S_ISLNK(info.st_mode)) return add_link(folder, leaf, name, info);
    if (S_ISREG(info.st_mode)) return add_file(folder, leaf, name);
    if (!S_ISDIR(info.st_mode)) return {};
    auto fd = TRY(open_entry(folder, leaf.c_str(), name, O_DIRECTORY));
    if (!fd) return {};
    TRY(output_.write(tar_header(member(TarType::folder, name + "/", info))));
    return add_entries(fd->get(), name + "/");
  }

  static TarMember member(TarType type, std::string name, const struct stat& info) {
    uint32_t mode = info.st_mode & 07777U & ~static_cast<uint32_t>(S_ISUID | S_ISGID);
    return {type, std::move(name), "", mode, info.st_mtim.tv_sec, 0};
  }

  Result<> add_link(int folder, const std::string& leaf, const std::string& name,
                    const struct stat& info) {
    std::string target(PATH_MAX, '\0');
    ssize_t count = ::readlinkat(folder, leaf.c_str(), target.data(), target.size());
    if (count < 0 && (errno == ENOENT || errno == EINVAL)) return {};
    if (count < 0) return fail_errno(errno, "reading " + shown(name));
    TarMember link = member(TarType::symbolic_link, name, info);
    link.target = target.substr(0, static_cast<size_t>(count));
    return output_.write(tar_header(link));
  }

  Result<> add_file(int folder, const std::string& leaf, const std::string& name) {
    auto fd = TRY(open_entry(folder, leaf.c_str(), name, 0));
    struct stat info {};
    if (!fd || ::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
    TarMember file = member(TarType::file, name, info);
    if (info.st_nlink > 1) {
      auto [first, is_new] = first_names_.emplace(std::pair(info.st_dev, info.st_ino), name);
      if (!is_new) {
        file.type = TarType::hard_link;
        file.target = first->second;
        return output_.write(tar_header(file));
      }
    }
    file.size = static_cast<uint64_t>(info.st_size);
    TRY(output_.write(tar_header(file)));
    TRY(add_content(fd->get(), name, file.size));
    return output_.write_zeros(tar_padding(file.size));
  }

  // Exactly `size` bytes, as the header says: a file that grew is cut, one that shrank filled up.
  Result<> add_content(int file, const std::string& name, uint64_t size) {
    if (size >= kReadAheadBytes) ::posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
    uint64_t data_end = 0;  // known to be data up to here
    for (uint64_t offset = 0; offset < size;) {
      if (offset >= data_end && size >= kReadAheadBytes) {
        uint64_t begin = TRY(skip_hole(file, offset, size));
        if (begin == size) return {};
        offset = begin;
        data_end = end_of_data(file, offset, size);
      }
      std::span<char> room = TRY(output_.room());
      uint64_t wanted = std::min<uint64_t>(room.size(), size - offset);
      auto count = read_at(file, room.first(static_cast<size_t>(wanted)), offset);
      if (!count) return Failure(std::move(count).error().within("reading " + shown(name)));
      if (*count == 0) return add_zeros(size - offset);
      output_.advance(*count);
      if (on_bytes_) on_bytes_(*count);
      offset += *count;
    }
    return {};
  }

  // Writes the zeros of a hole at `offset` and returns where data goes on.
  Result<uint64_t> skip_hole(int file, uint64_t offset, uint64_t size) {
    off_t data = ::lseek(file, static_cast<off_t>(offset), SEEK_DATA);
    bool is_end = data < 0 && errno == ENXIO;
    if (data < 0 && !is_end) return offset;  // a file system that does not know
    uint64_t begin = is_end ? size : std::min(size, static_cast<uint64_t>(data));
    TRY(add_zeros(begin - offset));
    return begin;
  }

  static uint64_t end_of_data(int file, uint64_t offset, uint64_t size) {
    off_t end = ::lseek(file, static_cast<off_t>(offset), SEEK_HOLE);
    // Small holes are cheaper read than looked for.
    return end < 0 ? size : std::max(static_cast<uint64_t>(end), offset + kReadAheadBytes);
  }

  Result<> add_zeros(uint64_t count) {
    TRY(output_.write_zeros(count));
    if (on_bytes_ && count > 0) on_bytes_(count);
    return {};
  }

  const fs::path& root_;
  const std::function<void(uint64_t)>& on_bytes_;
  ParallelGzip output_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;  // of files with several
};

}  // namespace

Result<> pack(const fs::path& folder, const ByteSink& sink,
              const std::function<void(uint64_t bytes)>& on_bytes) {
  return Packer(folder, sink, on_bytes).pack();
}

}  // namespace trainyard::transfer
