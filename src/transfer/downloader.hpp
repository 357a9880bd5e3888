// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transfer/channel_plan.hpp"

namespace trainyard::transfer {

// Downloads the plan's files below `folder`: fetch_all() of transfer/fetch.hpp. `on_bytes` is
// called from several threads. The first error stops the rest.
Result<> download_files(const S3Access& access, const std::string& bucket, const ChannelPlan& plan,
                        const fs::path& folder, const OnBytes& on_bytes, std::stop_token stop);

}  // namespace trainyard::transfer
