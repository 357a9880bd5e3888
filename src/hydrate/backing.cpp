// SPDX-License-Identifier: Apache-2.0
#include "hydrate/backing.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"

namespace trainyard::hydrate {

namespace {

// Descriptors beside the files': reads in progress, sockets, logs.
constexpr uint64_t kOtherDescriptors = 4096;

// 2^50 bytes: more than a disk holds, and a sum of them over all files does not overflow.
constexpr uint64_t kMostBlocks = uint64_t{1} << 38;

// Of `count` files; raises the limit where that is allowed.
uint64_t files_to_keep(uint64_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  rlimit wanted{count + kOtherDescriptors, std::max(limit.rlim_max, count + kOtherDescriptors)};
  if (limit.rlim_cur >= wanted.rlim_cur || ::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return count;
  wanted.rlim_cur = wanted.rlim_max = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
  return limit.rlim_cur > 2 * kOtherDescriptors ? limit.rlim_cur - kOtherDescriptors
                                                : limit.rlim_cur / 2;
}

Result<Backing> make_files(const fs::path& root, const std::vector<LazyFile>& files,
                           bool is_named) {
  TRY(check_space(root, files));
  Backing backing(root, files, is_named);
  for (size_t i = 0; i < files.size(); ++i) TRY(backing.add());
  return backing;
}

}  // namespace

Result<> check_space(const fs::path& folder, const std::vector<LazyFile>& files) {
  uint64_t needed = 0;
  for (const LazyFile& file : files) {
    uint64_t blocks = file.size / 4096 + 1;  // one for the rest
    needed += std::min(blocks, kMostBlocks) * 4096;
  }
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return fail_errno(errno, "asking for free disk space");
  uint64_t available = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (needed <= available) return {};
  return fail(Code::exhausted, "the files need {}, {} are free on the disk of {}",
              format_bytes(needed), format_bytes(available), folder.string());
}

Backing::Backing(fs::path root, const std::vector<LazyFile>& files, bool is_named)
    : root_(std::move(root)),
      files_(&files),
      is_named_(is_named),
      most_kept_(files_to_keep(files.size())),
      is_released_(files.size()) {}

fs::path Backing::path_of(size_t file) const {
  return root_ / (is_named_ ? (*files_)[file].path : std::to_string(file));
}

Result<> Backing::add() {
  size_t file = kept_.size();
  fs::path path = path_of(file);
  bool is_nested = is_named_ && (*files_)[file].path.find('/') != std::string::npos;
  if (is_nested && (file == 0 || path_of(file - 1).parent_path() != path.parent_path())) {
    TRY(make_directories(path.parent_path(), 0755));
  }
  Fd fd = TRY(open_file(path, O_RDWR | O_CREAT | O_EXCL, is_named_ ? 0444 : 0600));
  ::fchmod(fd.get(), is_named_ ? 0444 : 0600);  // whatever the umask
  auto size = static_cast<off_t>((*files_)[file].size);
  int error = size == 0 ? 0 : ::posix_fallocate(fd.get(), 0, size);
  if (error != 0) return fail_errno(error, "allocating the blocks of " + path.string());
  kept_.push_back(file < most_kept_ ? std::move(fd) : Fd());
  return {};
}

Result<BackingFile> Backing::use(uint32_t file) const {
  if (kept_[file]) return BackingFile(kept_[file].get());
  return BackingFile(TRY(open_file(path_of(file), O_RDWR | O_NOFOLLOW)));
}

bool Backing::release(uint32_t file) {
  if (is_released_[file]) return false;
  is_released_[file] = true;
  kept_[file].reset();
  return true;
}

Result<Backing> make_tree(const fs::path& root, const std::vector<LazyFile>& files) {
  TRY(make_directories(root, 0755));
  return make_files(root, files, true);
}

Result<Backing> make_cache(const fs::path& root, const std::vector<LazyFile>& files) {
  TRY(make_directories(root, 0700));
  return make_files(root, files, false);
}

void cut_incomplete(const Backing& backing, const ChunkMap& map) {
  for (uint32_t file = 0; file < map.file_count(); ++file) {
    if (map.status(file) == FileStatus::complete) continue;
    auto used = backing.use(file);
    if (!used || ::ftruncate(used->get(), 0) != 0) {
      log::warn("cutting an incomplete file", {{"file", file}, {"errno", errno}});
    }
  }
}

}  // namespace trainyard::hydrate
