// SPDX-License-Identifier: Apache-2.0
#include "transfer/fetch.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>

#include "base/check.hpp"
#include "base/text.hpp"
#include "transfer/fetch_loop.hpp"

namespace trainyard::transfer {

namespace {

// Loopback is fastest with few streams of large objects (data_plane.md 2), a network with more;
// small objects are waited for most of the time.
constexpr size_t kFirstLarge = 2, kMostLarge = 64;
constexpr size_t kFirstSmall = 32, kMostSmall = 64;
constexpr size_t kMaxThreads = 8;
constexpr size_t kFewFiles = 4;  // small ones, not worth a second thread

struct Folder {
  std::vector<const Fetch*> fetches;
  uint64_t needed = 0;  // bytes that are not on disk yet
};

// Part files in a folder by the stem of their names.
std::map<std::string, std::vector<std::string>> parts_in(const fs::path& folder) {
  std::map<std::string, std::vector<std::string>> parts;
  const size_t stem = PartFile::stem_of("").size();
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with(".part-") && name.size() > stem)
      parts[name.substr(0, stem)].push_back(name);
  }
  return parts;
}

// Removes part files of other versions, and counts what those of this version hold.
void look_at_leftovers(const fs::path& path, Folder& folder) {
  auto parts = parts_in(path);
  if (parts.empty()) return;
  for (const Fetch* fetch : folder.fetches) {
    std::string target = fetch->path.filename().string();
    auto found = parts.find(PartFile::stem_of(target));
    if (found == parts.end()) continue;
    std::string wanted = PartFile::name_of(target, origin_of(*fetch));
    for (const std::string& name : found->second) {
      struct stat info {};
      if (name != wanted) {
        remove_leftover(path / name);
      } else if (::stat((path / name).c_str(), &info) == 0) {
        uint64_t held = static_cast<uint64_t>(info.st_blocks) * 512;
        folder.needed -= std::min({held, fetch->size, folder.needed});
      }
    }
  }
}

// Makes the folders. `exhausted` where a file system has less than what is needed and a twentieth.
Result<> prepare_folders(std::span<const Fetch> fetches, const std::string& what) {
  std::map<fs::path, Folder> folders;
  for (const Fetch& fetch : fetches) {
    fs::path parent = fetch.path.parent_path();
    Folder& folder = folders[parent.empty() ? "." : parent];
    folder.fetches.push_back(&fetch);
    folder.needed += fetch.size;
  }
  struct Disk {
    uint64_t needed = 0;
    fs::path path;  // something on it
  };
  std::map<dev_t, Disk> disks;
  for (auto& [path, folder] : folders) {
    TRY(make_directories(path));
    look_at_leftovers(path, folder);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, "reading " + path.string());
    Disk& disk = disks[info.st_dev];
    disk.needed += folder.needed;
    disk.path = path;
  }
  for (const auto& [device, disk] : disks) {
    struct statvfs space {};
    if (::statvfs(disk.path.c_str(), &space) != 0) {
      return fail_errno(errno, "reading " + disk.path.string());
    }
    uint64_t free = space.f_bavail * space.f_frsize;
    if (disk.needed == 0 || disk.needed + disk.needed / 20 <= free) continue;
    return fail(Code::exhausted, "No space left on device: {} needs {}, {} has {} free", what,
                format_bytes(disk.needed), disk.path.string(), format_bytes(free));
  }
  return {};
}

void share_out(Batch& batch) {
  for (size_t i = 0; i < batch.fetches.size(); ++i) {
    bool is_large = batch.fetches[i].size > kBufferBytes;
    (is_large ? batch.large : batch.small).push_back(i);
  }
  // The largest is not to begin when all others are done.
  std::stable_sort(batch.large.begin(), batch.large.end(), [&](size_t a, size_t b) {
    return batch.fetches[a].size > batch.fetches[b].size;
  });
}

size_t threads_for(std::span<const Fetch> fetches, const FetchOptions& options) {
  size_t most = options.max_threads;
  if (most == 0) most = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxThreads);
  bool is_little = fetches.size() <= kFewFiles &&
                   std::all_of(fetches.begin(), fetches.end(),
                               [](const Fetch& fetch) { return fetch.size <= kBufferBytes; });
  return is_little ? 1 : std::min(most, fetches.size());
}

// The first error that is the cause, not a consequence.
struct Outcome {
  std::optional<Error> error;
};

// OpenSSL writes to sockets with write(2); one that is closed raises the signal in this thread.
void block_sigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Result<> run_threads(Batch& batch, std::stop_source& cancel) {
  Guarded<Outcome> outcome;
  auto work = [&](size_t number) {
    block_sigpipe();
    auto done = FetchLoop(batch, number).run();
    if (done) return;
    outcome.with([&](Outcome& o) {
      if (!o.error) o.error = done.error();
    });
    cancel.request_stop();
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < batch.threads; ++i) threads.emplace_back(work, i);
  }
  auto error = outcome.with([](Outcome& o) { return o.error; });
  if (error) return Failure(*error);
  return {};
}

Way way_for(std::span<const Fetch> fetches, const FetchOptions& options) {
  uint64_t bytes = 0;
  for (const Fetch& fetch : fetches) bytes += fetch.size;
  auto limit = options.direct_from;
  if (auto available = limit ? std::nullopt : available_memory()) limit = *available / 2;
  return limit && bytes > *limit ? Way::direct : Way::buffered;
}

bool has_one_bucket(std::span<const Fetch> fetches) {
  return std::all_of(fetches.begin(), fetches.end(), [&](const Fetch& fetch) {
    return fetch.object.bucket == fetches[0].object.bucket;
  });
}

}  // namespace

Result<> fetch_all(const S3Access& access, std::span<const Fetch> fetches,
                   const FetchOptions& options, std::stop_token stop) {
  if (fetches.empty()) return {};
  if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
  CHECK(has_one_bucket(fetches), "the host's name may hold the bucket's");
  TRY(prepare_folders(fetches, options.what));
  Fd stop_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_fd) return fail_errno(errno, "making an eventfd");
  std::stop_source cancel;
  std::stop_callback on_stop(stop, [&] { cancel.request_stop(); });
  std::stop_callback on_cancel(cancel.get_token(), [&] { ::eventfd_write(stop_fd.get(), 1); });
  Endpoint endpoint = TRY(endpoint_of(access, fetches[0].object.bucket));
  Addresses addresses = TRY(look_up(endpoint));
  TlsContext tls = endpoint.is_tls ? TRY(make_tls_context(access.ca_file)) : nullptr;
  Batch batch{access,
              fetches,
              options,
              way_for(fetches, options),
              cancel.get_token(),
              stop_fd.get(),
              threads_for(fetches, options),
              endpoint,
              addresses,
              tls,
              {},
              {},
              0,
              0,
              true,
              {kFirstLarge, kMostLarge},
              {kFirstSmall, kMostSmall}};
  share_out(batch);
  return run_threads(batch, cancel);
}

}  // namespace trainyard::transfer
