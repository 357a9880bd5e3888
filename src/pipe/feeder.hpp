// SPDX-License-Identifier: Apache-2.0
// Feeds the FIFOs of a job's Pipe channels until it is destroyed. For a channel there are always
// two FIFOs, or one before the first was opened:
//
// - `<channel>_<epoch>` that waits for the next epoch's reader. It is made as soon as the one
// before
//   has a reader, so that it is there in time for whoever asks when the epoch ends.
// - The one of the epoch that was opened last, anew: whoever opens that again, after having read
//   all or part of it, gets the epoch from its start, in the same order. A second reader of a
//   running epoch waits for its end and then gets a whole one as well. It goes when the next epoch
//   is opened.
//
// A reader that closes early ends its epoch. A channel that nobody opens costs nothing.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "pipe/fifo.hpp"
#include "pipe/plan.hpp"

namespace trainyard::pipe {

class Feeder {
 public:
  // All channels have their first FIFO when it returns. What goes wrong later must not look like
  // the end of data: the first error is in state/feed.error, the reader of that epoch stays in its
  // read(2) until the feeder is destroyed.
  static Result<std::unique_ptr<Feeder>> start(PipePlan plan);

  // Stops, whatever it is in, and removes the FIFOs. Readers see the end of data.
  ~Feeder();

 private:
  class Channel;
  explicit Feeder(PipePlan plan);
  Result<> start_channels();

  PipePlan plan_;  // unchanged once channels run
  // The folder itself: its name is the script's to change, which may put a link to a folder of the
  // host in its place.
  Fd folder_;
  std::stop_source stop_;
  std::unique_ptr<StopFd> stop_fd_;
  std::unique_ptr<OpenWatch> watch_;
  std::vector<std::unique_ptr<Channel>> channels_;
};

}  // namespace trainyard::pipe
