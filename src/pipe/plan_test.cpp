// SPDX-License-Identifier: Apache-2.0
#include "pipe/plan.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "pipe/record_io.hpp"

namespace trainyard::pipe {
namespace {

PipePlan plan_of(std::vector<PipeChannel> channels) {
  PipePlan plan;
  plan.access.endpoint = "http://127.0.0.1:1";
  plan.access.credentials = {"KEY", "secret/+\"", "token"};
  plan.remotes = {{"aws", {"team-*"}, "https://s3.x", "eu", "A", "S", "T", false, "/ca"}};
  plan.folder = "/data";
  plan.state = "/state";
  plan.user_id = 4'000'000'000;
  plan.channels = std::move(channels);
  return plan;
}

PipeChannel train() {
  PipeChannel channel;
  channel.name = "train";
  channel.entries = {
      {{std::string("\0\xff\n\"", 4), {}}, {"", Source{{"b", "ä\n//../k"}, 7, "\"e\"", "/f"}}},
      {},
      {{"", Source{{"b", "k"}, uint64_t{1} << 50, "", ""}}}};
  channel.is_gzip = true;
  channel.shuffle_seed = -5;
  channel.is_sharded = true;
  channel.host_index = 1;
  channel.host_count = 3;
  return channel;
}

TEST(Plan, comes_back_as_it_was) {
  PipeChannel other;
  other.name = "other";
  other.is_record_io = true;
  std::string text = serialize(plan_of({train(), other}));
  auto plan = parse_plan(text);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(serialize(*plan), text);
  EXPECT_EQ(plan->access.credentials.secret_key, "secret/+\"");
  EXPECT_EQ(plan->user_id, 4'000'000'000);
  ASSERT_EQ(plan->remotes.size(), 1U);
  EXPECT_EQ(find_remote(plan->remotes, "team-a"), &plan->remotes[0]);
  EXPECT_EQ(plan->remotes[0].secret_key, "S");
  EXPECT_TRUE(!plan->remotes[0].is_path_style && plan->access.is_path_style);
  ASSERT_EQ(plan->channels.size(), 2U);
  const PipeChannel& channel = plan->channels[0];
  EXPECT_EQ(channel.shuffle_seed, -5);
  EXPECT_TRUE(channel.is_gzip && channel.is_sharded && !channel.is_record_io);
  EXPECT_EQ(channel.host_index + 10 * channel.host_count, 31U);
  ASSERT_EQ(channel.entries.size(), 3U);
  EXPECT_EQ(channel.entries[0][0].bytes, std::string("\0\xff\n\"", 4));
  EXPECT_EQ(channel.entries[0][1].object->uri.key, "ä\n//../k");
  EXPECT_EQ(channel.entries[0][1].object->file, "/f");
  EXPECT_EQ(channel.entries[2][0].object->size, uint64_t{1} << 50);
  EXPECT_TRUE(plan->channels[1].is_record_io && !plan->channels[1].shuffle_seed);
}

TEST(Plan, is_refused_by_line_when_it_is_cut_or_broken) {
  std::string text = serialize(plan_of({train()}));
  for (size_t cut = 0; cut < text.size(); ++cut) {
    auto plan = parse_plan(text.substr(0, cut));
    ASSERT_FALSE(plan) << cut;
    EXPECT_EQ(plan.error().code, Code::invalid);
    EXPECT_TRUE(plan.error().message.starts_with("line ")) << plan.error().message;
  }
  EXPECT_FALSE(parse_plan(text + "[]\n"));
  EXPECT_FALSE(parse_plan(replace_all(text, "\"size\":7", "\"size\":-7")));
  EXPECT_FALSE(parse_plan(replace_all(text, "\"host_count\":3", "\"host_count\":1")));
  EXPECT_FALSE(parse_plan(replace_all(text, "\"train\"", "\"../train\"")));
}

TEST(Plan, refuses_an_object_that_no_record_can_hold) {
  PipeChannel channel;
  channel.name = "c";
  channel.is_record_io = true;
  channel.entries = {{{"", Source{{"b", "large"}, kRecordIoLimit, "", ""}}}};
  auto checked = check(plan_of({channel}));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message,
            "channel c: s3://b/large has 536870912 bytes, a RecordIO record takes less than "
            "536870912");
  channel.entries[0][0].object->size -= 1;
  EXPECT_TRUE(check(plan_of({channel})));
}

TEST(RecordIo, has_a_header_and_ends_at_a_word) {
  EXPECT_EQ(to_hex(record_io_header(5)), "0a23d7ce05000000");
  EXPECT_EQ(to_hex(record_io_header(kRecordIoLimit - 1)), "0a23d7ceffffff1f");
  for (size_t length : {0, 1, 2, 3, 4, 5}) {
    EXPECT_EQ((length + record_io_padding(length).size()) % 4, 0U);
    EXPECT_LT(record_io_padding(length).size(), 4U);
  }
}

}  // namespace
}  // namespace trainyard::pipe
