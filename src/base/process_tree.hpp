// SPDX-License-Identifier: Apache-2.0
// Processes of this host as /proc shows them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard {

// A process that cannot be mistaken for a later one with the same number.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // clock ticks since boot, field 22 of /proc/<pid>/stat
};

std::optional<ProcessId> identify(pid_t pid);

// {"pid":4711,"start_time":123456}: so that another process, or a later start, finds it again.
Result<> write_process(const fs::path& file, const ProcessId& process);
std::optional<ProcessId> read_process(const fs::path& file);

// Starts a program in a session of its own, with nothing open but its output: appended to `output`,
// or this process's own where that is empty. It outlives us; whoever is its parent then reaps it.
// `inherited`, unless it is -1, is its descriptor 3: a lock, say, that is to live as long.
Result<ProcessId> start_detached(std::vector<std::string> arguments, const fs::path& output,
                                 int inherited = -1);

// False for one that has ended, a zombie, or another process with that number.
bool is_alive(const ProcessId& process);

// Sends the signal if it is still that process.
void send_signal(const ProcessId& process, int signal);

struct Process {
  ProcessId id;
  pid_t parent = 0;
  std::string name;  // "python3", at most 15 bytes
};

// All that descend from `root`, parents before their children, without `root` itself.
std::vector<Process> descendants(pid_t root);

}  // namespace trainyard
