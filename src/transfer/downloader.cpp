// SPDX-License-Identifier: Apache-2.0
#include "transfer/downloader.hpp"

#include "transfer/fetch.hpp"

namespace trainyard::transfer {

Result<> download_files(const S3Access& access, const std::string& bucket, const ChannelPlan& plan,
                        const fs::path& folder, const OnBytes& on_bytes, std::stop_token stop) {
  std::vector<Fetch> fetches;
  fetches.reserve(plan.files.size());
  for (const PlannedFile& file : plan.files) {
    fetches.push_back({{bucket, file.key}, file.size, file.etag, folder / file.path});
  }
  FetchOptions options;
  options.on_bytes = on_bytes;
  options.what = "channel " + folder.filename().string();
  return fetch_all(access, fetches, options, std::move(stop));
}

}  // namespace trainyard::transfer
