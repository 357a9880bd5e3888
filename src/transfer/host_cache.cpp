// SPDX-License-Identifier: Apache-2.0
#include "transfer/host_cache.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>

#include "aws/canonical.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

struct Entry {
  fs::path path;
  uint64_t size = 0;
  int64_t used = 0;  // nanoseconds since 1970
};

// Entries that no job holds, and the bytes of all.
struct Inventory {
  std::vector<Entry> free;
  uint64_t total_bytes = 0;
};

Inventory look_at(const fs::path& folder) {
  Inventory inventory;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat info {};
    if (::lstat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    auto size = static_cast<uint64_t>(info.st_blocks) * 512;
    inventory.total_bytes += size;
    if (info.st_nlink > 1) continue;
    inventory.free.push_back(
        {entry->path(), size, int64_t{info.st_atim.tv_sec} * 1'000'000'000 + info.st_atim.tv_nsec});
  }
  std::sort(inventory.free.begin(), inventory.free.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  return inventory;
}

// What the disk lacks for so many bytes, and the twentieth that a download leaves free (fetch.cpp).
uint64_t lacking(const fs::path& folder, uint64_t bytes) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return 0;
  uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  uint64_t needed = bytes + bytes / 20;
  return needed > free ? needed - free : 0;
}

// False where it is in use after all: a part file that is being filled is locked.
bool evict(const Entry& entry) {
  auto file = open_file(entry.path, O_RDONLY);
  if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) return false;
  struct stat info {};
  if (::fstat(file->get(), &info) != 0 || info.st_nlink != 1) return false;
  return ::unlink(entry.path.c_str()) == 0;
}

// A new name for the entry; its time of use becomes now.
bool take(const fs::path& entry, const Fetch& object) {
  if (::link(entry.c_str(), object.path.c_str()) != 0) return false;
  // Reading does not always set it; the time of change is a part of what is known of the bytes.
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);  // UTIME_NOW has a tick's resolution
  const timespec times[2] = {now, {0, UTIME_OMIT}};
  ::utimensat(AT_FDCWD, entry.c_str(), times, 0);
  struct stat info {};
  bool is_it =
      ::stat(object.path.c_str(), &info) == 0 && static_cast<uint64_t>(info.st_size) == object.size;
  if (!is_it) {
    ::unlink(object.path.c_str());
    ::unlink(entry.c_str());
  }
  return is_it;
}

}  // namespace

fs::path HostCache::entry_of(const S3Access& access, const Fetch& object) const {
  std::string identity = fmt::format("{}\n{}\n{}\n{}\n{}", access.endpoint, object.object.bucket,
                                     object.etag, object.size, object.object.key);
  std::string name = to_hex(aws::sha256(identity));
  return folder_ / name.substr(0, 2) / name;
}

bool HostCache::can_keep(const Fetch& object) const {
  return !object.etag.empty() && object.size <= limit_bytes_;
}

Result<std::vector<Fetch>> HostCache::link(const S3Access& access,
                                           std::span<const Fetch> wanted) const {
  std::vector<Fetch> missing;
  fs::path last_parent;
  for (const Fetch& object : wanted) {
    if (object.path.parent_path() != last_parent) {
      last_parent = object.path.parent_path();
      TRY(make_directories(last_parent));
    }
    bool is_here = can_keep(object) && take(entry_of(access, object), object);
    if (!is_here) missing.push_back(object);
  }
  return missing;
}

Result<> HostCache::make_room(uint64_t bytes) const {
  TRY(make_directories(folder_, 0700));
  Fd lock = TRY(open_file(folder_ / "lock", O_RDWR | O_CREAT, 0600));
  if (::flock(lock.get(), LOCK_EX) != 0) return fail_errno(errno, "locking the cache");
  Inventory inventory = look_at(folder_);
  size_t evicted = 0;
  for (const Entry& entry : inventory.free) {
    bool is_enough = inventory.total_bytes + bytes <= limit_bytes_ && lacking(folder_, bytes) == 0;
    if (is_enough) break;
    if (entry.path.filename() == "lock" || !evict(entry)) continue;
    inventory.total_bytes -= std::min(entry.size, inventory.total_bytes);
    ++evicted;
  }
  if (evicted > 0) log::info("evicted from the host's cache", {{"objects", evicted}});
  return {};
}

Result<> HostCache::fetch(const S3Access& access, std::span<const Fetch> wanted,
                          const FetchOptions& options, std::stop_token stop) const {
  std::vector<Fetch> fetches(wanted.begin(), wanted.end());
  std::unordered_map<std::string, const Fetch*> by_entry;
  uint64_t bytes = 0;
  for (Fetch& fetch : fetches) {
    if (!can_keep(fetch)) continue;
    fs::path entry = entry_of(access, fetch);
    // The same object twice: the second one is downloaded for itself.
    if (!by_entry.emplace(entry.string(), &wanted[static_cast<size_t>(&fetch - fetches.data())])
             .second) {
      continue;
    }
    bytes += fetch.size;
    fetch.path = entry;
  }
  if (bytes > 0) TRY(make_room(bytes));
  FetchOptions with_links = options;
  std::atomic<size_t> lost = 0;
  with_links.is_named_by_content = true;
  with_links.on_file = [&](const Fetch& fetch) {
    auto found = by_entry.find(fetch.path.string());
    if (found != by_entry.end() && !take(fetch.path, *found->second)) ++lost;
    if (options.on_file) options.on_file(found == by_entry.end() ? fetch : *found->second);
  };
  TRY(fetch_all(access, fetches, with_links, stop));
  if (lost == 0) return {};
  // Another file system, or evicted within that moment.
  auto missing = TRY(link(access, wanted));
  with_links = options;
  return fetch_all(access, missing, options, stop);
}

}  // namespace trainyard::transfer
