// SPDX-License-Identifier: Apache-2.0
// `trainyard feed FILE`: the process that feeds a job's Pipe channels (feeder.hpp). It outlives
// agent and server, as the script does, and runs until SIGTERM. It keeps in the plan's `state`:
//
//   feed.pid    the process, as base/process_tree.hpp writes it
//   feed.ready  all FIFOs exist
//   feed.error  what went wrong first: channel, epoch, object and byte. Readers of that epoch are
//               kept waiting: end the job.
//   feed.log    its log
//
// A feeder that is killed cannot keep its readers waiting: they see the end of data. So a job whose
// feeder is gone (find()) before its script has ended must fail, whatever the script returned.
#pragma once

#include <optional>
#include <string>

#include "base/file.hpp"
#include "base/process_tree.hpp"
#include "base/result.hpp"
#include "pipe/plan.hpp"

namespace trainyard::pipe {

// Writes the plan into its `state` (which must exist, for its owner alone) and starts the process;
// all FIFOs exist when it returns. `program` is trainyard itself.
Result<ProcessId> start(const fs::path& program, const PipePlan& plan);

// The feeder that runs for this state; nothing when there is none any more.
std::optional<ProcessId> find(const fs::path& state);

// What went wrong first; nothing while all is well.
std::optional<std::string> first_error(const fs::path& state);

// SIGTERM, and SIGKILL when that does not help. Returns when the process has ended; none is fine.
void stop(const fs::path& state);

// main() of the process. Removes the file, which holds credentials, once it is read.
Result<> feed(const fs::path& file);

// state/feed.error
fs::path error_file(const fs::path& state);

}  // namespace trainyard::pipe
