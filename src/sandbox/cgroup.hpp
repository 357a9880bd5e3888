// SPDX-License-Identifier: Apache-2.0
// Memory limits by the host's control groups, version 1 or 2, where this user may make groups.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::sandbox {

// Makes the group trainyard/<name> with that limit and returns its folder. The error says why this
// host cannot: no such controller, not allowed.
Result<fs::path> make_memory_group(const std::string& name, int64_t limit_bytes);

// Moves this process there; its children are born there.
Result<> enter_group(const fs::path& group);

// Whether the kernel killed a process of the group because the limit was reached.
bool was_killed_for_memory(const fs::path& group);

// Removes the group once its processes have ended; nothing there is fine.
void remove_group(const fs::path& group);

}  // namespace trainyard::sandbox
