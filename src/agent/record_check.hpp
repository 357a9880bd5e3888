// SPDX-License-Identifier: Apache-2.0
// Looks for broken TFRecords in a channel's files: reported, or more, as the job asks for by its
// tag trainyard:records (protocol::RecordPolicy).
#pragma once

#include <thread>

#include "agent/channel_objects.hpp"
#include "agent/context.hpp"

namespace trainyard::agent {

// Before the script starts: files that a download, or another job, has looked at cost nothing; of
// the others as many are read as take a moment, and all where the policy depends on it or the view
// will not stay. The rest is left to RecordPatrol. Requires: the channel's files are in its view.
// `invalid` where broken records fail the job.
Result<> check_records(Context& context, const Channel& channel, const ChannelObjects& objects,
                       bool will_view_stay);

// For a channel whose bytes come while the script runs: says so where the policy asks for more than
// a report, which cannot be had there.
void say_unchecked(const Context& context, const Channel& channel);

// Looks through what was left while the script runs, and says what it finds in the job's log.
class RecordPatrol {
 public:
  explicit RecordPatrol(const Context& context);

 private:
  std::jthread thread_;
};

}  // namespace trainyard::agent
