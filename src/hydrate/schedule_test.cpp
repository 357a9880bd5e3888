// SPDX-License-Identifier: Apache-2.0
#include "hydrate/schedule.hpp"

#include <gtest/gtest.h>

#include <random>

namespace trainyard::hydrate {
namespace {

// Chunks as [first, end) of a file.
struct Range {
  uint32_t file;
  uint64_t first;
  uint64_t end;
  bool operator==(const Range&) const = default;
};

class ScheduleTest : public testing::Test {
 protected:
  void begin(std::vector<uint64_t> chunks) {
    for (uint64_t& count : chunks) count *= kChunkBytes;
    map_.emplace(std::move(ChunkMap::make(chunks).value()));
    schedule_.emplace(*map_);
  }
  void demand(uint32_t file, uint64_t chunk, uint64_t bytes = 4096) {
    schedule_->demand(file, chunk * kChunkBytes, bytes);
  }
  std::optional<Range> next(int worker) {
    auto work = schedule_->next(worker);
    if (!work) return std::nullopt;
    at_[worker] = {work->file, work->first, work->end};
    return at_[worker];
  }
  // The worker's next chunk comes.
  bool fill(int worker) {
    Range& range = at_[worker];
    map_->set_present(range.file, range.first++);
    return schedule_->go_on(worker);
  }

  std::optional<ChunkMap> map_;
  std::optional<Schedule> schedule_;
  std::map<int, Range> at_;
};

TEST_F(ScheduleTest, AReaderAtTheStartGetsAStreamToTheEnd) {
  begin({100, 1});
  demand(0, 0);
  EXPECT_EQ(next(0), (Range{0, 0, 100}));
  for (int i = 0; i < 99; ++i) EXPECT_TRUE(fill(0));
  EXPECT_FALSE(fill(0));
  EXPECT_TRUE(schedule_->begin_check(0));
}

TEST_F(ScheduleTest, AWholeFileThatAReadWaitsForIsCheckedFirst) {
  begin({2, 5});
  map_->set_present(0, 0);
  map_->set_present(0, 1);
  demand(1, 0);
  schedule_->demand_check(0);
  schedule_->demand_check(1);  // not whole: nothing to check
  EXPECT_EQ(next(0), (Range{0, 2, 2}));
  EXPECT_TRUE(schedule_->begin_check(0));
  EXPECT_EQ(next(1), (Range{1, 0, 5}));
  map_->set_status(0, FileStatus::complete);
  schedule_->done(0);
  schedule_->demand_check(0);
  EXPECT_EQ(next(0), std::nullopt);
}

TEST_F(ScheduleTest, ARandomReadGetsItsChunkAndTheNextOneOnlyNearTheBorder) {
  begin({1000});
  demand(0, 500);
  EXPECT_EQ(next(0), (Range{0, 500, 501}));
  schedule_->demand(0, 301 * kChunkBytes - 4096, 4096);
  EXPECT_EQ(next(1), (Range{0, 300, 302}));
}

TEST_F(ScheduleTest, AReaderThatGoesOnGetsAWindowThatDoubles) {
  begin({1000});
  demand(0, 100);
  EXPECT_EQ(next(0), (Range{0, 100, 101}));
  EXPECT_FALSE(fill(0));
  EXPECT_FALSE(schedule_->begin_check(0));
  demand(0, 101);
  EXPECT_EQ(next(0), (Range{0, 101, 103}));
  EXPECT_TRUE(fill(0));
  EXPECT_FALSE(fill(0));
  EXPECT_FALSE(schedule_->begin_check(0));
  demand(0, 103);
  EXPECT_EQ(next(0), (Range{0, 103, 107}));
}

TEST_F(ScheduleTest, AReadThatAStreamWillReachSoonWaitsForIt) {
  begin({1000});
  demand(0, 0);
  ASSERT_EQ(next(0), (Range{0, 0, 1000}));
  demand(0, 10);
  EXPECT_EQ(next(1), std::nullopt);
  demand(0, 500);
  EXPECT_EQ(next(1), (Range{0, 500, 501}));
}

TEST_F(ScheduleTest, EachInterleavedFileHasItsOwnStream) {
  begin({50, 50, 50, 50});
  for (uint32_t file = 0; file < 4; ++file) demand(file, 0);
  for (int worker = 0; worker < 4; ++worker) {
    EXPECT_EQ(next(worker), (Range{static_cast<uint32_t>(worker), 0, 50}));
  }
  for (int worker = 0; worker < 4; ++worker) EXPECT_TRUE(fill(worker));
}

TEST_F(ScheduleTest, IdleTimeCompletesFilesInOrderFromTheOneReadLast) {
  begin({1, 1, 1, 1});
  demand(2, 0);
  ASSERT_EQ(next(0), (Range{2, 0, 1}));
  EXPECT_EQ(next(1), (Range{3, 0, 1}));
  EXPECT_EQ(next(2), (Range{0, 0, 1}));
  EXPECT_EQ(next(3), (Range{1, 0, 1}));
  EXPECT_EQ(next(4), std::nullopt);
}

TEST_F(ScheduleTest, LargeFilesWaitWhileSomebodyReads) {
  begin({100, 100});
  demand(0, 0);
  ASSERT_TRUE(next(0));
  EXPECT_EQ(next(1), std::nullopt);
}

TEST_F(ScheduleTest, AnIdleStreamMakesRoomForAReader) {
  begin({100, 100});
  ASSERT_EQ(next(0), (Range{0, 0, 100}));
  EXPECT_TRUE(fill(0));
  demand(1, 50);
  EXPECT_FALSE(fill(0));
  EXPECT_FALSE(schedule_->begin_check(0));
  EXPECT_EQ(next(0), (Range{1, 50, 51}));
}

TEST_F(ScheduleTest, AFailedFileIsLeftAloneUntilItIsDemandedAgain) {
  begin({3});
  ASSERT_TRUE(next(0));
  EXPECT_FALSE(schedule_->failed(0));  // nobody waited
  EXPECT_EQ(next(0), std::nullopt);
  demand(0, 1);
  ASSERT_TRUE(next(0));
  EXPECT_TRUE(schedule_->failed(0));
  EXPECT_EQ(next(0), std::nullopt);
}

TEST_F(ScheduleTest, AFileThatAnEarlierHydratorFilledIsOnlyChecked) {
  begin({2});
  map_->set_present(0, 0);
  map_->set_present(0, 1);
  EXPECT_EQ(next(0), (Range{0, 2, 2}));
  EXPECT_TRUE(schedule_->begin_check(0));
  EXPECT_EQ(next(1), std::nullopt);
  map_->set_status(0, FileStatus::complete);
  schedule_->done(0);
  EXPECT_EQ(next(0), std::nullopt);
}

// Whatever is demanded and in whichever order streams advance, fail or end: every demand is met,
// no chunk is fetched twice at once, and in the end all files are whole.
TEST_F(ScheduleTest, EveryDemandIsMet) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    auto pick = [&](uint64_t limit) { return random() % limit; };
    std::vector<uint64_t> chunks;
    for (uint64_t i = 0; i <= pick(6); ++i) chunks.push_back(1 + pick(40));
    at_.clear();
    begin(chunks);
    std::set<int> busy;
    for (int step = 0; step < 20'000; ++step) {
      if (step < 200 && pick(4) == 0) {
        auto file = static_cast<uint32_t>(pick(chunks.size()));
        demand(file, pick(chunks[file]), 1 + pick(5 * kChunkBytes));
      }
      int worker = static_cast<int>(pick(5));
      if (!busy.contains(worker)) {
        if (next(worker)) busy.insert(worker);
        continue;
      }
      Range& range = at_[worker];
      for (int other : busy) {
        bool same = other != worker && at_[other].file == range.file && range.first < range.end &&
                    at_[other].first == range.first && at_[other].first < at_[other].end;
        ASSERT_FALSE(same) << "seed " << seed;
      }
      if (range.first < range.end && fill(worker)) continue;
      if (schedule_->begin_check(worker)) {
        map_->set_status(range.file, FileStatus::complete);
        schedule_->done(worker);
      }
      busy.erase(worker);
    }
    for (uint32_t file = 0; file < chunks.size(); ++file) {
      ASSERT_EQ(map_->status(file), FileStatus::complete) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace trainyard::hydrate
