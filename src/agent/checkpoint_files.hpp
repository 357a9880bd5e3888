// SPDX-License-Identifier: Apache-2.0
// A checkpoint folder while its script writes to it: nothing is opened through a symbolic link that
// the script may put there at any moment.
#pragma once

#include <map>
#include <set>
#include <string>

#include "agent/checkpoint_plan.hpp"
#include "base/file.hpp"

namespace trainyard::agent {

struct CheckpointFolder {
  Files files;  // regular files without heads
  std::set<std::string> open_for_writing;
  std::map<std::string, std::string> heads;  // read before `files` were listed
};

Result<CheckpointFolder> look_at(const fs::path& folder);

// Copies the file to `copy`, if it is and stays in the given state; false when it changed.
Result<bool> copy_unchanged(const fs::path& folder, const std::string& path, const FileState& state,
                            const fs::path& copy);

}  // namespace trainyard::agent
