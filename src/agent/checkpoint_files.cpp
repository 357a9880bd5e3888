// SPDX-License-Identifier: Apache-2.0
#include "agent/checkpoint_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <vector>

namespace trainyard::agent {

namespace {

constexpr int kMaxDepth = 32;
constexpr size_t kMaxHeadBytes = 1 << 20;

// Below `root`, through no link: openat2(2).
Result<Fd> open_beneath(int root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  Fd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
  if (!fd) return fail_errno(errno, "opening " + path);
  return fd;
}

FileState state_of(const struct stat& info) {
  constexpr int64_t kSecond = 1'000'000'000;
  return {static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec,
          info.st_ino};
}

// The kernel lends a read lease only while nobody has the file open for writing: fcntl(2).
bool is_open_for_writing(int root, const std::string& path) {
  auto fd = open_beneath(root, path, O_RDONLY | O_NONBLOCK);
  if (!fd) return false;
  if (::fcntl(fd->get(), F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd->get(), F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN;
}

using OnFile = std::function<void(const std::string& path, const struct stat& info)>;

// Calls `on_file` for each regular file; what goes away meanwhile is left out.
void walk(int directory, const std::string& prefix, int depth, const OnFile& on_file) {
  int own = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0 || depth > kMaxDepth) return;
  std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(own), &::closedir);
  while (dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    std::string name = entry->d_name;
    struct stat info {};
    if (name == "." || name == ".." ||
        ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (S_ISREG(info.st_mode)) on_file(prefix + name, info);
    if (!S_ISDIR(info.st_mode)) continue;
    Fd child(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (child) walk(child.get(), prefix + name + "/", depth + 1, on_file);
  }
}

Result<Fd> open_folder(const fs::path& folder) {
  return open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

Result<CheckpointFolder> look_at(const fs::path& folder) {
  Fd root = TRY(open_folder(folder));
  CheckpointFolder found;
  walk(root.get(), "", 0, [&](const std::string& path, const struct stat& info) {
    if (!is_head(path) || static_cast<size_t>(info.st_size) > kMaxHeadBytes) return;
    auto fd = open_beneath(root.get(), path, O_RDONLY | O_NONBLOCK);
    std::string text(kMaxHeadBytes, '\0');
    auto count = fd ? read_at(fd->get(), text, 0) : Result<size_t>(Failure(fd.error()));
    if (!count) return;
    text.resize(*count);
    found.heads[path] = std::move(text);
  });
  walk(root.get(), "", 0, [&](const std::string& path, const struct stat& info) {
    if (found.heads.contains(path)) return;
    found.files[path] = state_of(info);
    if (is_open_for_writing(root.get(), path)) found.open_for_writing.insert(path);
  });
  return found;
}

Result<bool> copy_unchanged(const fs::path& folder, const std::string& path, const FileState& state,
                            const fs::path& copy) {
  constexpr size_t kPiece = 1 << 20;
  Fd root = TRY(open_folder(folder));
  auto source = open_beneath(root.get(), path, O_RDONLY | O_NONBLOCK);
  if (!source) return false;
  auto is_unchanged = [&] {
    struct stat info {};
    return ::fstat(source->get(), &info) == 0 && S_ISREG(info.st_mode) && state_of(info) == state;
  };
  if (!is_unchanged()) return false;
  Fd target = TRY(open_file(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  std::vector<char> buffer(kPiece);
  for (uint64_t offset = 0;;) {
    size_t count = TRY(read_at(source->get(), buffer, offset));
    if (count == 0) break;
    TRY(write_all(target.get(), {buffer.data(), count}));
    offset += count;
  }
  return is_unchanged();
}

}  // namespace trainyard::agent
