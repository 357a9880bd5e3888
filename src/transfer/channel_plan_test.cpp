// SPDX-License-Identifier: Apache-2.0
#include "transfer/channel_plan.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace trainyard::transfer {

namespace {

// The paths of a plan with blanks between them, or the error.
std::string plan(const std::string& prefix, const std::vector<std::string>& keys) {
  std::vector<ObjectSummary> objects;
  for (const std::string& key : keys) objects.push_back({key, 1, ""});
  auto made = plan_channel({"b", prefix}, objects);
  if (!made) return made.error().code == Code::invalid ? made.error().message : "another code";
  std::string paths;
  for (const PlannedFile& file : made->files) paths += (paths.empty() ? "" : " ") + file.path;
  return paths;
}

std::vector<std::string> warnings(const std::string& prefix, const std::vector<std::string>& keys) {
  std::vector<ObjectSummary> objects;
  for (const std::string& key : keys) objects.push_back({key, 0, ""});
  return plan_channel({"b", prefix}, objects).value().warnings;
}

}  // namespace

TEST(ChannelPlan, follows_every_row_of_the_contract) {
  struct Row {
    std::string prefix;
    std::vector<std::string> keys;
    std::string paths;
  };
  const std::vector<Row> rows = {
      {"data/train/", {"data/train/d/e", "data/train/x"}, "d/e x"},
      {"data/train", {"data/train/d/e", "data/train/x"}, "d/e x"},
      {"data/train", {"data/train/x", "data/train2/y"}, "x train2/y"},
      {"data/train/x.csv", {"data/train/x.csv"}, "x.csv"},
      {"x.csv", {"x.csv"}, "x.csv"},
      {"data/train", {"data/train-data.csv"}, "train-data.csv"},
      {"tr", {"train-data.csv"}, "train-data.csv"},
      {"data/train", {"data/train/", "data/train/a/", "data/train/a/b"}, "a/b"},
      {"", {"a", "d/e"}, "a d/e"},
      {"data/train/", {}, ""},
  };
  for (const Row& row : rows) EXPECT_EQ(plan(row.prefix, row.keys), row.paths) << row.prefix;
  EXPECT_EQ(local_path("data/train/", "data/train/"), "");
}

TEST(ChannelPlan, a_file_and_a_folder_of_one_name_collide) {
  const std::string text =
      "S3 keys 's3://b/a' and 's3://b/a/b' cannot both be placed in one directory";
  EXPECT_EQ(plan("", {"a", "a/b"}), text);
  EXPECT_EQ(plan("", {"a", "a-b", "a/b"}), text);
  EXPECT_EQ(plan("", {"a/b", "a"}), text);
  EXPECT_EQ(plan("d", {"d/train2/y", "dd", "d/train2"}),
            "S3 keys 's3://b/d/train2' and 's3://b/d/train2/y' cannot both be placed in one "
            "directory");
  EXPECT_EQ(plan("", {"a//b", "a/b"}),
            "S3 keys 's3://b/a//b' and 's3://b/a/b' cannot both be placed in one directory");
  // The prefix's own folder and a sibling may meet in one place too.
  EXPECT_EQ(plan("t", {"t/tx/y", "tx/y"}),
            "S3 keys 's3://b/t/tx/y' and 's3://b/tx/y' cannot both be placed in one directory");
}

TEST(ChannelPlan, no_path_leaves_the_folder) {
  EXPECT_EQ(plan("", {"/etc/passwd"}), "etc/passwd");
  EXPECT_EQ(plan("d/", {"d//x", "d/a//b/./c"}), "x a/b/c");
  for (std::string key : {"d/../x", "d/..", "d/a/../../x", "d/./..", "d/.", "d/a/."}) {
    EXPECT_NE(plan("d/", {key}).find("cannot be placed in a directory"), std::string::npos) << key;
  }
  EXPECT_EQ(plan("d/", {"d/..a", "d/b..", "d/..."}), "..a b.. ...");
  EXPECT_EQ(plan("d/", {std::string("d/a\0b", 5)}),
            "S3 key 's3://b/d/a\\0b' cannot be placed in a directory: it holds a NUL");
  EXPECT_EQ(plan("d/", {"d/" + std::string(255, 'x')}), std::string(255, 'x'));
  EXPECT_NE(plan("d/", {"d/" + std::string(256, 'x')}).find("longer than 255"), std::string::npos);
  EXPECT_EQ(plan("d/", {"e/x"}), "S3 key 's3://b/e/x' is not under 's3://b/d/'");
}

TEST(ChannelPlan, warns_once_about_siblings_and_never_about_what_was_asked_for) {
  auto texts = warnings("data/train", {"data/train/x", "data/train2/y", "data/train2/z"});
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_EQ(texts[0],
            "the S3 prefix 's3://b/data/train' also matches 's3://b/data/train2/'; their objects "
            "are placed as 'train2/...'. End the S3Uri with '/' to leave them out");
  texts = warnings("t", {"t/x", "t2/y", "t3/z"});
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_NE(texts[0].find("and 1 more such folders"), std::string::npos);
  EXPECT_TRUE(warnings("data/train/", {"data/train/x", "data/train/d/x"}).empty());
  EXPECT_TRUE(warnings("data/train", {"data/train-1.csv", "data/train/", "data/train/x"}).empty());
}

TEST(ChannelPlan, sums_sizes_and_warns_of_markers_that_hold_bytes) {
  ChannelPlan made = plan_channel({"b", ""}, {{"d/", 3, ""}, {"d/x", 4, ""}, {"y", 5, ""}}).value();
  EXPECT_EQ(made.total_bytes, 9u);
  EXPECT_EQ(made.files[1].key, "y");
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_NE(made.warnings[0].find("s3://b/d/"), std::string::npos);
}

TEST(ChannelPlan, shards_deal_the_sorted_keys_round) {
  std::vector<ObjectSummary> objects = {
      {"d", 1, ""}, {"a", 1, ""}, {"f/", 0, ""}, {"b", 1, ""}, {"c", 1, ""}};
  auto keys = [&](size_t index, size_t count) {
    std::string all;
    for (const ObjectSummary& object : take_shard(objects, index, count)) all += object.key;
    return all;
  };
  EXPECT_EQ(keys(0, 3), "ad");
  EXPECT_EQ(keys(1, 3), "b");
  EXPECT_EQ(keys(2, 3), "c");
  EXPECT_EQ(keys(5, 6), "");
}

static std::vector<std::string> keys_of(const std::vector<ObjectSummary>& objects) {
  std::vector<std::string> keys;
  for (const ObjectSummary& object : objects) keys.push_back(object.key);
  return keys;
}

TEST(BalancedShard, each_host_gets_as_many_bytes_and_every_object_is_at_one) {
  std::vector<ObjectSummary> objects = {{"p/", 0, ""},   {"p/a", 100, ""}, {"p/b", 60, ""},
                                        {"p/c", 60, ""}, {"p/d", 40, ""},  {"p/e", 0, ""},
                                        {"p/f", 0, ""},  {"p/g", 40, ""}};
  auto first = take_balanced_shard(objects, 0, 3);
  auto second = take_balanced_shard(objects, 1, 3);
  std::reverse(objects.begin(), objects.end());  // the order of the listing does not matter
  auto third = take_balanced_shard(objects, 2, 3);
  EXPECT_EQ(keys_of(first), (std::vector<std::string>{"p/a", "p/e", "p/f"}));
  EXPECT_EQ(keys_of(second), (std::vector<std::string>{"p/b", "p/d"}));
  EXPECT_EQ(keys_of(third), (std::vector<std::string>{"p/c", "p/g"}));
}

TEST(BalancedShard, no_host_has_more_than_a_largest_object_above_another) {
  std::vector<ObjectSummary> objects;
  uint64_t seed = 1;
  for (int i = 0; i < 500; ++i) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    objects.push_back({fmt::format("{:03}", i), seed >> 44, ""});
  }
  std::vector<uint64_t> loads;
  size_t count = 0;
  for (size_t host = 0; host < 7; ++host) {
    loads.push_back(0);
    for (const ObjectSummary& object : take_balanced_shard(objects, host, 7)) {
      loads.back() += object.size;
      ++count;
    }
  }
  EXPECT_EQ(count, 500);
  uint64_t spread =
      *std::max_element(loads.begin(), loads.end()) - *std::min_element(loads.begin(), loads.end());
  EXPECT_LE(spread, uint64_t{1} << 20);
  EXPECT_TRUE(take_balanced_shard({}, 0, 2).empty());
}

}  // namespace trainyard::transfer
