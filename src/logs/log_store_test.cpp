// SPDX-License-Identifier: Apache-2.0
#include "logs/log_store.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace trainyard::logs {

class LogStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    store_ = LogStore::open(folder_ / "logs.db", clock_).value();
    ASSERT_TRUE(store_->create_stream("job/algo-1-1"));
  }
  void TearDown() override {
    store_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  std::string read(EventQuery query) {
    query.stream = "job/algo-1-1";
    std::string text;
    auto events = store_->events(query).value();
    for (const LogEvent& event : events) text += event.message + " ";
    return text;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  std::unique_ptr<LogStore> store_;
};

TEST_F(LogStoreTest, a_chunk_is_taken_once_and_only_where_the_stream_ends) {
  protocol::LogChunk first{0, 4, {{1000, "a"}, {1001, "b"}}};
  protocol::LogChunk second{4, 6, {{900, "c"}}};
  EXPECT_EQ(store_->append("job/algo-1-1", second).value(), 0) << "a gap";
  EXPECT_EQ(store_->append("job/algo-1-1", first).value(), 4);
  EXPECT_EQ(store_->append("job/algo-1-1", first).value(), 4) << "a repetition";
  EXPECT_EQ(store_->append("job/algo-1-1", second).value(), 6);
  EXPECT_EQ(read({}), "a b c ");
  EventQuery late;
  late.start = from_epoch_ms(1001);
  EXPECT_EQ(read(late), "b c ") << "the clock ran backwards, the stream does not";
  EXPECT_EQ(store_->append("none", first).error().code, Code::not_found);
}

TEST_F(LogStoreTest, events_page_in_both_directions) {
  protocol::LogChunk chunk{0, 10, {}};
  for (int i = 0; i < 10; ++i) chunk.lines.push_back({1000 + i, std::to_string(i)});
  ASSERT_TRUE(store_->append("job/algo-1-1", chunk));
  EXPECT_EQ(read({"", {}, {}, 0, false, 3}), "0 1 2 ");
  EXPECT_EQ(read({"", {}, {}, 3, false, 3}), "3 4 5 ");
  EXPECT_EQ(read({"", {}, {}, {}, true, 3}), "7 8 9 ");
  EXPECT_EQ(read({"", {}, {}, 6, true, 3}), "4 5 6 ");
  EXPECT_EQ(read({"", from_epoch_ms(1008), {}, {}, false, 100}), "8 9 ");
  EXPECT_EQ(read({"", {}, from_epoch_ms(1002), {}, false, 100}), "0 1 ");
}

TEST_F(LogStoreTest, streams_are_found_by_prefix) {
  ASSERT_TRUE(store_->create_stream("job2/algo-1-1"));
  ASSERT_TRUE(store_->create_stream("job/algo-2-1"));
  auto names = [&](const std::string& prefix, const std::string& after, size_t limit) {
    std::string text;
    auto streams = store_->streams(prefix, after, limit).value();
    for (const Stream& stream : streams) text += stream.name + " ";
    return text;
  };
  EXPECT_EQ(names("job/", "", 50), "job/algo-1-1 job/algo-2-1 ");
  EXPECT_EQ(names("job/", "job/algo-1-1", 50), "job/algo-2-1 ");
  EXPECT_EQ(names("", "", 2), "job/algo-1-1 job/algo-2-1 ");
}

}  // namespace trainyard::logs
