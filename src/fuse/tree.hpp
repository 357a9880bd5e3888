// SPDX-License-Identifier: Apache-2.0
// The inodes of a plan's tree. Immutable. Number 1 is the root.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hydrate/hydrate.hpp"

namespace trainyard::fuse {

struct Node {
  uint64_t parent = 1;
  std::optional<uint32_t> file;                          // its number in the plan; none: a folder
  std::map<std::string, uint64_t, std::less<>> entries;  // of a folder: inode numbers
};

class Tree {
 public:
  explicit Tree(const std::vector<hydrate::LazyFile>& files);

  // nullptr: no such inode.
  const Node* find(uint64_t inode) const;
  // The inode number; 0: there is none of that name.
  uint64_t lookup(uint64_t folder, std::string_view name) const;

 private:
  uint64_t add(uint64_t parent, const std::string& name);

  std::vector<Node> nodes_;  // by inode number
};

}  // namespace trainyard::fuse
