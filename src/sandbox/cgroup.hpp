// SPDX-License-Identifier: Apache-2.0
// A job's control groups, version 1 or 2, where this user may make groups: its memory and CPU
// limits, and the kernel's count of processes that it killed for memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::sandbox {

struct Limits {
  int64_t memory_bytes = 0;  // 0: none
  double cpus = 0;           // in cores; 0: none

  bool has_any() const { return memory_bytes > 0 || cpus > 0; }
};

// Makes the group trainyard/<name> with those limits: one folder with version 2; with version 1 one
// for memory and, where they are limited, one for CPUs. Groups that exist are set again. The error
// says why this host cannot.
Result<std::vector<std::string>> make_groups(const std::string& name, const Limits& limits);

// Moves this process there; its children are born there.
Result<> enter_groups(const std::vector<std::string>& groups);

// Whether the kernel killed a process of the groups because the memory's limit was reached.
bool was_killed_for_memory(const std::vector<std::string>& groups);

// SIGKILL to every process of the groups until none is left; gives up after ten seconds.
void end_processes(const std::vector<std::string>& groups);

// Removes the groups once their processes have ended; nothing there is fine.
void remove_groups(const std::vector<std::string>& groups);

}  // namespace trainyard::sandbox
