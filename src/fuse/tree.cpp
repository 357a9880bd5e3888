// SPDX-License-Identifier: Apache-2.0
#include "fuse/tree.hpp"

#include "base/text.hpp"

namespace trainyard::fuse {

Tree::Tree(const std::vector<hydrate::LazyFile>& files) : nodes_(2) {
  for (uint32_t file = 0; file < files.size(); ++file) {
    uint64_t at = 1;
    for (std::string_view part : split(files[file].path, '/')) {
      uint64_t known = lookup(at, part);
      at = known != 0 ? known : add(at, std::string(part));
    }
    nodes_[at].file = file;
  }
}

uint64_t Tree::add(uint64_t parent, const std::string& name) {
  uint64_t inode = nodes_.size();
  nodes_.emplace_back().parent = parent;
  nodes_[parent].entries[name] = inode;
  return inode;
}

const Node* Tree::find(uint64_t inode) const {
  return inode == 0 || inode >= nodes_.size() ? nullptr : &nodes_[inode];
}

uint64_t Tree::lookup(uint64_t folder, std::string_view name) const {
  const Node* node = find(folder);
  if (node == nullptr) return 0;
  auto found = node->entries.find(name);
  return found == node->entries.end() ? 0 : found->second;
}

}  // namespace trainyard::fuse
