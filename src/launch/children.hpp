// SPDX-License-Identifier: Apache-2.0
// The processes of an instance, and the signals that concern them. For one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::launch {

struct Child {
  pid_t pid = -1;
  Fd output{};  // what it writes, where that was asked for
};

struct SpawnOptions {
  bool has_pipe = false;                 // its stdout and stderr come through Child::output
  bool ignores_sigterm = false;          // it, and what it starts
  bool leads_its_group = false;          // kill(-pid) reaches all of it
  std::vector<std::string> variables{};  // "NAME=value", over the environment of this process
};

// `internal` where no process can be made; a program that is not there ends with 127.
Result<Child> spawn(const std::vector<std::string>& command, const SpawnOptions& options = {});

struct Gone {
  pid_t pid = -1;
  int exit_code = 0;  // 128 + signal
};

// SIGTERM and SIGCHLD as something to poll for. One object at a time; blocks the signals.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int descriptor() const { return fd_.get(); }
  // Reads what came. True: SIGTERM, now or before.
  bool is_stop_asked();
  // Children that ended, each once.
  std::vector<Gone> reap();

 private:
  Fd fd_;
  bool is_stop_asked_ = false;
};

// Waits until one of the descriptors has something, or the time is over; negative ones are left
// out. True for those that have.
std::vector<bool> wait_for(const std::vector<int>& descriptors,
                           std::optional<std::chrono::steady_clock::time_point> until);

// Reads what there is, at most 64 KiB. nullopt: nothing will come any more.
std::optional<std::string> read_some(int descriptor);

// A line of ours in the job's log.
void say(const std::string& line);

}  // namespace trainyard::launch
