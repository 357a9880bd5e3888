// SPDX-License-Identifier: Apache-2.0
#include "transfer/downloader.hpp"

#include <algorithm>
#include <thread>

#include "base/guarded.hpp"

namespace trainyard::transfer {

namespace {

// Loopback is fastest with few connections, a real network with more (data_plane.md 3a).
constexpr size_t kMaxThreads = 8;

struct Progress {
  size_t next = 0;  // index of the next file that nobody has taken
  std::optional<Error> error;
};

}  // namespace

Result<> download_files(const S3Access& access, const std::string& bucket, const ChannelPlan& plan,
                        const fs::path& folder, const OnBytes& on_bytes, std::stop_token stop) {
  std::stop_source cancel;
  std::stop_callback on_stop(stop, [&] { cancel.request_stop(); });
  Guarded<Progress> progress;
  auto work = [&] {
    S3Client client(access, cancel.get_token());
    for (;;) {
      size_t index = progress.with([](Progress& p) { return p.error ? SIZE_MAX : p.next++; });
      if (index >= plan.files.size()) return;
      const PlannedFile& file = plan.files[index];
      fs::path path = folder / file.path;
      auto done = make_directories(path.parent_path());
      if (done) done = client.download({bucket, file.key}, path, on_bytes);
      if (done) continue;
      progress.with([&](Progress& p) {
        if (!p.error) p.error = done.error();
      });
      cancel.request_stop();
    }
  };
  {
    std::vector<std::jthread> threads;
    size_t count = std::min(kMaxThreads, plan.files.size());
    for (size_t i = 0; i < count; ++i) threads.emplace_back(work);
  }
  auto error = progress.with([](Progress& p) { return p.error; });
  if (error) return Failure(*error);
  return {};
}

}  // namespace trainyard::transfer
