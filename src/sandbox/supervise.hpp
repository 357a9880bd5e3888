// SPDX-License-Identifier: Apache-2.0
// `trainyard supervise FILE`: the parent of a job's processes. It does as little as possible, so
// that neither the agent's nor the server's death touches the script: it appends the script's
// output to a file, passes SIGTERM on once to the user's processes, ends what they leave behind,
// and writes how it ended. The file:
//
//   {"command":[…],"variables":[…],"working_dir":"/","log":"…","pid_file":"…","exit_file":"…",…}
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/process_tree.hpp"
#include "base/result.hpp"
#include "sandbox/namespaces.hpp"
#include "sandbox/overlay.hpp"

namespace trainyard::sandbox {

struct Supervision {
  std::vector<std::string> command;    // already wrapped
  std::vector<std::string> variables;  // the whole environment, "NAME=value"
  fs::path working_dir;
  fs::path log;        // appended to
  fs::path pid_file;   // written when the supervisor runs
  fs::path exit_file;  // written last, atomically
  fs::path reserve;    // removed when the script has ended, so that a full disk takes the record
  std::vector<std::string> groups;  // control groups that all of it runs in
  Namespaces namespaces;            // entered before the command starts
  std::vector<Overlay> overlays;    // mounted for the command alone
};

struct ExitRecord {
  int exit_code = 0;  // 128 + signal where a signal ended it
  int64_t ended_ms = 0;
};

// Starts a supervisor in a session of its own. `lease` is kept open until it ends; -1: none.
Result<ProcessId> start_supervisor(const fs::path& program, const Supervision& supervision,
                                   const fs::path& file, int lease = -1);

// The supervisor that runs for this pid file; nullopt when there is none any more.
std::optional<ProcessId> find_supervisor(const fs::path& pid_file);

// How it ended; nullopt while it runs, or when it was killed.
std::optional<ExitRecord> read_exit(const fs::path& exit_file);

// SIGKILL to the supervisor and everything below it.
void kill_tree(const ProcessId& supervisor);

// main() of the supervisor.
int supervise(const fs::path& file);

}  // namespace trainyard::sandbox
