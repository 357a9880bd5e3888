// SPDX-License-Identifier: Apache-2.0
#include "agent/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

// "ValueError: …", "tensorflow.python.framework.errors_impl.InvalidArgumentError: …",
// "KeyboardInterrupt"
bool begins_with_exception(std::string_view line) {
  size_t end = 0;
  while (end < line.size() && (std::isalnum(static_cast<unsigned char>(line[end])) ||
                               line[end] == '_' || line[end] == '.')) {
    ++end;
  }
  std::string_view name = line.substr(0, end);
  bool ends_well = end == line.size() || line[end] == ':';
  constexpr std::array<std::string_view, 5> kEndings = {"Error", "Exception", "Interrupt", "Exit",
                                                        "Iteration"};
  bool is_exception = std::any_of(kEndings.begin(), kEndings.end(),
                                  [&](std::string_view ending) { return name.ends_with(ending); });
  return ends_well && is_exception;
}

}  // namespace

std::string error_message_in(std::string_view output) {
  output = trim(output);
  auto lines = split(output, '\n');
  auto last = std::find_if(lines.rbegin(), lines.rend(), begins_with_exception);
  constexpr size_t kTail = 10;
  size_t from = last != lines.rend() ? static_cast<size_t>(lines.rend() - last) - 1
                                     : lines.size() - std::min(kTail, lines.size());
  std::string message;
  for (size_t i = from; i < lines.size(); ++i) {
    message += (message.empty() ? "" : "\n") + std::string(lines[i]);
  }
  return to_valid_utf8(message);
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
