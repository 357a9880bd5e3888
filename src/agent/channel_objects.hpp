// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/context.hpp"
#include "transfer/channel_plan.hpp"

namespace trainyard::agent {

// The objects of a channel, found when the instance starts.
struct ChannelObjects {
  transfer::S3Access access;
  std::string bucket;
  transfer::ChannelPlan plan;  // in order
};

// Of a channel of type S3Prefix or ManifestFile. With `is_dealt` this host's share of a sharded
// channel, else all of it. An error's text follows "ClientError: Data download failed:".
Result<ChannelObjects> find_objects(const Context& context, const Channel& channel, bool is_dealt);

// The objects of these keys as listings have them, in the keys' order; not_found names the first
// that is not there.
Result<std::vector<transfer::ObjectSummary>> look_up(transfer::S3Client& client,
                                                     const std::string& bucket,
                                                     const std::vector<std::string>& keys);

// A hard link to the object's own file of the store; false where that lies on no file system of
// ours, or was replaced a moment ago.
bool link_object(const transfer::ObjectSummary& object, const fs::path& target);

// This host's number among those that the channel is for.
struct HostShare {
  size_t index = 0;
  size_t count = 1;
};
HostShare share_of_host(const protocol::Assignment& assignment, const Channel& channel);

}  // namespace trainyard::agent
