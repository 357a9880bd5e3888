// SPDX-License-Identifier: Apache-2.0
// Runs a program to its end, for tools such as uv and bwrap. Jobs themselves do not run through it:
// they must outlive whoever started them.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard {

struct Command {
  std::vector<std::string> arguments;  // [0] is the program, looked up on PATH without a slash
  std::vector<std::string> variables;  // "NAME=value", over the environment of this process
  fs::path working_dir;                // empty: this process's own
  std::chrono::milliseconds timeout{std::chrono::hours(24)};
  bool is_attached = false;  // writes to our standard error, not to Ended and on_line
  // Each line of stdout and stderr, in order of arrival, without its end.
  std::function<void(std::string_view line)> on_line;
};

struct Ended {
  int exit_code = 0;   // 128 + signal where a signal ended it
  std::string output;  // the last 64 KiB of stdout and stderr
};

// Runs in a process group of its own, with /dev/null as input, and waits. `not_found`: no such
// program; `timeout` and `cancelled`: the whole group was killed. Any exit code is an Ended.
Result<Ended> run(const Command& command, std::stop_token stop = {});

// The environment of this process with `variables` set over it, as "NAME=value".
std::vector<std::string> merged_environment(const std::vector<std::string>& variables);

// For execve(2) and its kin: pointers into `texts`, and a null.
std::vector<char*> pointers(std::vector<std::string>& texts);

// The program as a path: itself if it holds a slash, else the first match on PATH.
std::optional<fs::path> find_program(std::string_view name);

// Splits a stream into lines at '\n', whatever the pieces it arrives in.
class LineSplitter {
 public:
  explicit LineSplitter(std::function<void(std::string_view)> on_line)
      : on_line_(std::move(on_line)) {}
  void push(std::string_view bytes);
  void finish();  // a last line without an end

 private:
  std::function<void(std::string_view)> on_line_;
  std::string partial_;
};

}  // namespace trainyard
