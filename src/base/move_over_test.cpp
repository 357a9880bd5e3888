// SPDX-License-Identifier: Apache-2.0
#include "base/move_over.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace trainyard {

class MoveOverTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a/both", "b/both", "a/new"}) {
      ASSERT_TRUE(make_directories(folder_ / name));
    }
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }
  void write(const char* name, const char* text) {
    ASSERT_TRUE(write_file_atomically(folder_ / name, text));
  }
  std::string read(const char* name) { return read_file(folder_ / name).value_or("nothing"); }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
};

TEST_F(MoveOverTest, folders_are_merged_and_what_is_replaced_is_told) {
  write("a/both/same", "later");
  write("b/both/same", "earlier");
  write("a/both/own", "1");
  write("b/both/kept", "2");
  write("a/new/file", "3");
  auto replaced = move_over(folder_ / "a", folder_ / "b");
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_EQ(*replaced, std::vector<std::string>{"both/same"});
  EXPECT_EQ(read("b/both/same"), "later");
  EXPECT_EQ(read("b/both/own"), "1");
  EXPECT_EQ(read("b/both/kept"), "2");
  EXPECT_EQ(read("b/new/file"), "3");
}

TEST_F(MoveOverTest, links_are_replaced_and_never_followed) {
  ASSERT_TRUE(make_directories(folder_ / "elsewhere"));
  write("elsewhere/same", "mine");
  fs::remove_all(folder_ / "b/both");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "b/both");
  write("a/both/same", "theirs");
  fs::create_symlink("/nowhere", folder_ / "a/link");
  auto replaced = move_over(folder_ / "a", folder_ / "b");
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_EQ(*replaced, std::vector<std::string>{"both"});
  EXPECT_EQ(read("elsewhere/same"), "mine");
  EXPECT_EQ(read("b/both/same"), "theirs");
  EXPECT_TRUE(fs::is_symlink(folder_ / "b/link"));
}

TEST_F(MoveOverTest, a_file_in_the_place_of_a_folder_is_replaced_and_the_other_way_round) {
  write("a/file", "file");
  ASSERT_TRUE(make_directories(folder_ / "b/file/below"));
  ASSERT_TRUE(make_directories(folder_ / "a/folder/below"));
  write("b/folder", "file");
  EXPECT_EQ(move_over(folder_ / "a", folder_ / "b")->size(), 2u);
  EXPECT_EQ(read("b/file"), "file");
  EXPECT_TRUE(fs::is_directory(folder_ / "b/folder/below"));
}

}  // namespace trainyard
