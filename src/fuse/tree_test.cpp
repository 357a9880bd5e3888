// SPDX-License-Identifier: Apache-2.0
#include "fuse/tree.hpp"

#include <gtest/gtest.h>

namespace trainyard::fuse {
namespace {

TEST(Tree, HasAFolderForEachPartOfAPath) {
  Tree tree({{"a/b/c", {}, "", 1}, {"a/d", {}, "", 1}, {"e", {}, "", 1}});
  uint64_t a = tree.lookup(1, "a");
  ASSERT_NE(a, 0u);
  EXPECT_FALSE(tree.find(a)->file);
  uint64_t c = tree.lookup(tree.lookup(a, "b"), "c");
  EXPECT_EQ(tree.find(c)->file, 0u);
  EXPECT_EQ(tree.find(tree.find(c)->parent)->parent, a);
  EXPECT_EQ(tree.find(tree.lookup(a, "d"))->file, 1u);
  EXPECT_EQ(tree.find(tree.lookup(1, "e"))->file, 2u);
}

TEST(Tree, KnowsWhatIsNotThere) {
  Tree tree({{"a/b", {}, "", 1}});
  EXPECT_EQ(tree.lookup(1, "b"), 0u);
  EXPECT_EQ(tree.lookup(99, "b"), 0u);
  EXPECT_EQ(tree.lookup(tree.lookup(1, "a"), ""), 0u);
  EXPECT_EQ(tree.find(0), nullptr);
  EXPECT_EQ(tree.find(99), nullptr);
  EXPECT_NE(tree.find(1), nullptr);
}

}  // namespace
}  // namespace trainyard::fuse
