// SPDX-License-Identifier: Apache-2.0
// FailureReason: what a client reads when a job failed (contract.md E.1, G.8). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard::agent {

constexpr size_t kMaxFailureReason = 1024;

// A program's own error out of its output: the last Python exception with what follows, else the
// output's last lines.
std::string error_message_in(std::string_view output);

// What the toolkit calls the failure: the first of `error_classes` that the output holds, else
// "ExecuteUserScriptError".
std::string failure_kind(std::string_view output, const std::vector<std::string>& error_classes);

// The text of /opt/ml/output/failure that the toolkit writes for a script with that exit code.
// `kind`: "ExecuteUserScriptError", "InstallRequirementsError", …
std::string failure_text(std::string_view kind, int exit_code, std::string_view message,
                         std::string_view command);

// "AlgorithmError: <text>, exit code: N" within 1,024 bytes, cut in the middle.
std::string algorithm_failure(std::string_view text, int exit_code);

}  // namespace trainyard::agent
