// SPDX-License-Identifier: Apache-2.0
// What an instance runs: the container's own entry point, or script mode's program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/context.hpp"
#include "launch/arrangement.hpp"

namespace trainyard::agent {

struct Plan {
  std::vector<std::string> command;
  protocol::StringPairs variables;  // the whole environment, each name once
  bool is_script_mode = true;
  // How the command is run where that takes more than starting it: launch/.
  std::optional<launch::Arrangement> arrangement{};
  std::vector<std::string> notices;  // for the job's log: what has no effect here
};

// Of the assignment, the environment's launcher and the code folder; makes a shell program
// executable. A FailureReason where the job names nothing that could run.
Result<Plan> make_plan(const Context& context);

}  // namespace trainyard::agent
