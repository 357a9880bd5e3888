// SPDX-License-Identifier: Apache-2.0
// Which object of a channel becomes which file: contract.md F.1, to the letter. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/s3_uri.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

struct PlannedFile {
  std::string key;
  std::string path;  // relative to the channel's folder; never leaves it
  uint64_t size = 0;
};

struct ChannelPlan {
  std::vector<PlannedFile> files;
  std::vector<std::string> warnings;  // for the job's log: sibling prefixes, skipped folder markers
  uint64_t total_bytes = 0;
};

// The file for one key under the prefix; "" for a folder marker.
std::string local_path(std::string_view prefix, std::string_view key);

// `objects` is the listing of the prefix. Collisions and names that a file system cannot hold are
// `invalid`, with a text that follows "ClientError: Data download failed:".
Result<ChannelPlan> plan_channel(const S3Uri& prefix, const std::vector<ObjectSummary>& objects);

}  // namespace trainyard::transfer
