// SPDX-License-Identifier: Apache-2.0
// Which object of a channel becomes which file: contract.md F.1, to the letter. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/s3_uri.hpp"
#include "transfer/manifest.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

struct PlannedFile {
  std::string key;
  std::string path;  // relative to the channel's folder; never leaves it
  uint64_t size = 0;
  std::string etag = {};  // as listed, in quotes
  fs::path file = {};  // see ObjectSummary
};

struct ChannelPlan {
  std::vector<PlannedFile> files;
  std::vector<std::string>
      warnings;  // for the job's log: sibling prefixes, markers that hold bytes
  uint64_t total_bytes = 0;
};

// The rule for one key that starts with the prefix; "" for a folder marker. What it returns is not
// yet safe to open: a key may hold "..".
std::string local_path(std::string_view prefix, std::string_view key);

// ShardedByS3Key (contract.md M 1): of the objects in byte order of their keys, without folder
// markers, number i belongs to host i mod host_count.
std::vector<ObjectSummary> take_shard(std::vector<ObjectSummary> objects, size_t host_index,
                                      size_t host_count);

// The same with about as many bytes for each host, where a job's tag trainyard:sharding=bytes asks
// for it: the largest objects go first, each to the host that has least so far. Every host finds
// the same shares; in byte order of the keys, as above.
std::vector<ObjectSummary> take_balanced_shard(std::vector<ObjectSummary> objects,
                                               size_t host_index, size_t host_count);

// `objects` is the listing of the prefix. "//" and "/./" in a key are what they are to a file
// system: one '/'. Collisions and names that a file system cannot hold are `invalid`, with a text
// that follows "ClientError: Data download failed:".
Result<ChannelPlan> plan_channel(const S3Uri& prefix, const std::vector<ObjectSummary>& objects);

// The objects that a manifest names, in its order: contract.md F.2. A name that comes twice is one
// file. Errors as above.
Result<ChannelPlan> plan_manifest(const ManifestKeys& manifest,
                                  const std::vector<ObjectSummary>& objects);

}  // namespace trainyard::transfer
