// SPDX-License-Identifier: Apache-2.0
// Runs a command in the job's walls, under a supervisor, to its end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/context.hpp"

namespace trainyard::agent {

struct ChildEnd {
  int exit_code = 0;          // 128 + signal
  bool is_time_over = false;  // the time limit passed
  bool is_stopped = false;    // the stop token was asked
  bool is_aborted = false;    // ChildPlan::abort was asked
};

struct ChildPlan {
  std::string name;  // "run", "setup": of the supervisor's files
  std::vector<std::string> command;
  protocol::StringPairs variables;  // the whole environment
  std::optional<Time> deadline;     // SIGTERM then
  std::stop_token abort = {};       // SIGKILL then: it cannot go on
  std::vector<fs::path> shown{};    // files that the command reads, beside what every job sees
};

// Starts it unless one of that name was started already, and waits. On a stop or at the deadline
// its processes get SIGTERM once, and SIGKILL when the grace is over (contract.md J.3). `internal`:
// the supervisor was lost.
Result<ChildEnd> run_child(const Context& context, const ChildPlan& plan);

// PATH, HOME, language, credentials, endpoints, the request's Environment: contract.md G.4.
protocol::StringPairs base_variables(const Context& context);

// "killed for memory: …" where the kernel's counter says so, else "".
std::string memory_evidence(const Context& context);
void remove_control_groups(const Context& context);

// How many CPUs a job may use here.
int cpu_count();

}  // namespace trainyard::agent
