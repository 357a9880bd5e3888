// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::cli {

struct LocalFile {
  std::string path;  // below the folder; valid UTF-8
  uint64_t size = 0;
};

// The files of a folder that can be objects, and what else is in it.
struct LocalTree {
  std::vector<LocalFile> files;       // in byte order of their paths
  std::vector<std::string> problems;  // "a/b: a socket is no file"
  std::vector<std::string> links;     // symbolic links that were not followed
};

// Symbolic links are listed where they are not to be followed; followed ones that lead back to a
// folder above, or nowhere, are problems. Fails where the folder itself cannot be read.
Result<LocalTree> read_tree(const fs::path& folder, bool follows_links);

// For messages: what is no UTF-8 or would move a terminal's cursor is replaced.
std::string shown_name(std::string_view name);

}  // namespace trainyard::cli
