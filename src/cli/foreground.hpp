// SPDX-License-Identifier: Apache-2.0
// Runs a program in our place: with our terminal, in our process group, and with our signals.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "base/result.hpp"

namespace trainyard::cli {

// From its construction on, signals that are meant for the program wait for run(). To be made
// before any thread, so that none takes them.
class Foreground {
 public:
  Foreground();
  ~Foreground();
  Foreground(const Foreground&) = delete;
  Foreground& operator=(const Foreground&) = delete;

  // The exit status, 128 + signal where one ended it. `not_found`: no such program.
  Result<int> run(std::vector<std::string> arguments, std::vector<std::string> environment);

 private:
  sigset_t taken_;
  sigset_t mask_before_;
  struct sigaction pipe_before_;
};

}  // namespace trainyard::cli
