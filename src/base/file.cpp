// SPDX-License-Identifier: Apache-2.0
#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/random.hpp"

namespace trainyard {

Result<Fd> open_file(const fs::path& path, int flags, unsigned mode) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return fail_errno(errno, fmt::format("opening {}", path.string()));
  return Fd(fd);
}

Result<std::string> read_file(const fs::path& path, size_t limit_bytes) {
  Fd fd = TRY(open_file(path, O_RDONLY));
  std::string content;
  std::array<char, 65536> chunk;
  for (;;) {
    ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, fmt::format("reading {}", path.string()));
    if (n == 0) return content;
    content.append(chunk.data(), static_cast<size_t>(n));
    if (content.size() > limit_bytes) {
      return fail(Code::exhausted, "reading {}: larger than {} bytes", path.string(), limit_bytes);
    }
  }
}

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "writing");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<size_t> read_at(int fd, std::span<char> bytes, uint64_t offset) {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t n =
        ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "reading");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

static Result<> write_synced(const fs::path& path, std::string_view content, unsigned mode) {
  Fd fd = TRY(open_file(path, O_WRONLY | O_CREAT | O_EXCL, mode));
  TRY(write_all(fd.get(), content));
  if (::fdatasync(fd.get()) != 0) return fail_errno(errno, "syncing");
  return {};
}

Result<> write_file_atomically(const fs::path& path, std::string_view content, unsigned mode) {
  fs::path draft = path;
  draft += ".draft-" + random_hex(8);
  auto written = write_synced(draft, content, mode);
  if (written && ::rename(draft.c_str(), path.c_str()) != 0) {
    written = fail_errno(errno, "renaming");
  }
  if (!written) {
    ::unlink(draft.c_str());
    return Failure(std::move(written).error().within(fmt::format("writing {}", path.string())));
  }
  return sync_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

Result<> make_directories(const fs::path& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  int error = errno;
  struct stat info {};
  if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  if (error == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    TRY(make_directories(path.parent_path(), mode));
    if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    error = errno;
  }
  return fail_errno(error, fmt::format("making directory {}", path.string()));
}

// Folders that their owner has closed to himself, as scripts and overlayfs do.
static void open_folders(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(folder, error))) return;
  fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add, error);
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    open_folders(entry->path());
  }
}

Result<> remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error == std::errc::permission_denied) {
    open_folders(path);
    fs::remove_all(path, error);
  }
  if (error) return fail_errno(error.value(), fmt::format("removing {}", path.string()));
  return {};
}

Result<fs::path> path_without_links(const fs::path& root, const fs::path& relative) {
  fs::path path = root;
  for (const fs::path& part : relative) {
    if (part == "..") return fail(Code::denied, "{} leaves {}", relative.string(), root.string());
    path /= part;
    std::error_code error;
    fs::file_status status = fs::symlink_status(path, error);
    if (!fs::exists(status)) return fail(Code::not_found, "no {}", path.string());
    if (fs::is_symlink(status)) return fail(Code::denied, "{} is a link", path.string());
  }
  return path;
}

Result<> sync_directory(const fs::path& path) {
  Fd fd = TRY(open_file(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("syncing {}", path.string()));
  return {};
}

}  // namespace trainyard
