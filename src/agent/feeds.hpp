// SPDX-License-Identifier: Apache-2.0
// Channels that a process feeds while the script runs: Pipe (pipe/), and FastFile where the bytes
// are not on this host (hydrate/). The processes outlive this agent, as the script does; when one
// is lost the job fails, whatever the script says: it may have seen an end of data that was none.
#pragma once

#include <optional>
#include <stop_token>
#include <thread>

#include "agent/channel_objects.hpp"
#include "agent/context.hpp"

namespace trainyard::agent {

// pipes.cpp: /opt/ml/input/data/<channel>_<epoch>, fed until stop_feeds().
Result<> start_pipe(const Context& context, const Channel& channel);

// lazy.cpp: the channel's view is made of files whose bytes come on first read. `exhausted` or
// `unavailable` where this host cannot; then nothing of it is left.
Result<> start_lazy(const Context& context, const Channel& channel, const ChannelObjects& objects);

// Why the script cannot go on: a feed failed, or the job's network was lost. nullopt: all is well.
std::optional<Error> feed_error(const Context& context);

// The script has ended with its feeds well. From now on they may end, too, also for an agent that
// takes this one's place.
Result<> outlive_feeds(const Context& context);

// A read of a FastFile channel that failed with EIO, or bytes that turned out to be wrong.
std::optional<Error> read_error(const Context& context);

// Ends the processes that feed channels of the instance with this folder; none is fine.
void stop_feeds(const fs::path& instance_folder);

// Looks after the feeds while the script runs.
class FeedWatch {
 public:
  explicit FeedWatch(const Context& context);

  // Requested when a feed failed.
  std::stop_token failed() const { return failed_.get_token(); }

 private:
  std::stop_source failed_;
  std::jthread thread_;
};

}  // namespace trainyard::agent
