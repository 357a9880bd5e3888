// SPDX-License-Identifier: Apache-2.0
// Channels that a process feeds while the script runs: Pipe (pipe/). The processes outlive this
// agent, as the script does; when one of them fails or is lost the job fails, whatever the script
// says, for it may have seen an end of data that was none.
#pragma once

#include <optional>
#include <stop_token>
#include <thread>

#include "agent/context.hpp"

namespace trainyard::agent {

// pipes.cpp: /opt/ml/input/data/<channel>_<epoch>, fed until stop_feeds().
Result<> start_pipe(const Context& context, const Channel& channel);

// What went wrong with the feeds; nullopt: all are well.
std::optional<Error> feed_error(const Context& context);

// Ends the processes; none is fine.
void stop_feeds(const Context& context);

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
