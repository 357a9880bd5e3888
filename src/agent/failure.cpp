// SPDX-License-Identifier: Apache-2.0
#include "agent/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "agent/traceback.hpp"
#include "base/text.hpp"

namespace trainyard::agent {

std::string error_message_in(std::string_view output) {
  constexpr size_t kTail = 10;
  if (auto error = find_python_error(output)) return error->message;
  output = trim(output);
  auto lines = split(output, '\n');
  std::string message;
  for (size_t i = lines.size() - std::min(kTail, lines.size()); i < lines.size(); ++i) {
    message += (message.empty() ? "" : "\n") + std::string(lines[i]);
  }
  return to_valid_utf8(message);
}

std::string failure_kind(std::string_view output, const std::vector<std::string>& error_classes) {
  constexpr const char* kDefault = "ExecuteUserScriptError";
  if (output.find(kDefault) != std::string_view::npos) return kDefault;
  for (const std::string& name : error_classes) {
    if (output.find(name) != std::string_view::npos) return name;
  }
  return kDefault;
}

std::string failure_text(std::string_view kind, int exit_code, std::string_view message,
                         std::string_view command) {
  // The message gives way: kind, exit code and command say what was tried.
  constexpr size_t kAround = 160;
  std::string short_command = cut_middle(command, 300);
  size_t room = kMaxFailureReason - kAround - short_command.size();
  std::string extra =
      exit_code == 137 ? "\nExtraInfo \"OutOfMemory: Process killed by SIGKILL (signal 9)\"" : "";
  return fmt::format("{}:\nExitCode {}\nErrorMessage \"{}\"{}\nCommand \"{}\"", kind, exit_code,
                     cut_middle(message, room), extra, short_command);
}

std::string algorithm_failure(std::string_view text, int exit_code) {
  std::string tail = fmt::format(", exit code: {}", exit_code);
  constexpr std::string_view kHead = "AlgorithmError: ";
  size_t room = kMaxFailureReason - kHead.size() - tail.size();
  return fmt::format("{}{}{}", kHead, cut_middle(text, room), tail);
}

}  // namespace trainyard::agent
