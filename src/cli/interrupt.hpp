// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace trainyard::cli {

// From its construction on SIGINT and SIGTERM ask the command to stop instead of ending it; the
// second one ends the program at once. To be made before any other thread, so that none takes them.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  bool has_come() const { return stop_.stop_requested(); }

  static constexpr int kExitStatus = 130;  // as shells say it after Ctrl-C

 private:
  void wait();

  sigset_t taken_;
  sigset_t mask_before_;
  std::stop_source stop_;
  std::stop_source end_;
  std::jthread waiting_;
};

}  // namespace trainyard::cli
