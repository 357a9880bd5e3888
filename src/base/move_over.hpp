// SPDX-License-Identifier: Apache-2.0
// Merges one folder into another.
#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard {

// Moves what is in `source` into `target`, on the same file system. Folders that both have are
// merged; whatever else is there already is replaced, and its path below `target` returned. Links
// are moved and replaced as links, never followed. Requires: nobody else writes to either.
Result<std::vector<std::string>> move_over(const fs::path& source, const fs::path& target);

}  // namespace trainyard
