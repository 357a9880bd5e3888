// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "engine/fake_engine.hpp"

namespace trainyard::scheduler {

class SchedulerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    jobs_ = jobs::JobStore::open(folder_ / "server.db", clock_).value();
    SchedulerOptions options;
    options.max_running_jobs = 2;
    scheduler_ = std::make_unique<Scheduler>(options, *jobs_, engine_, clock_);
  }
  void TearDown() override {
    jobs_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  void create(const std::string& name) {
    clock_.advance(std::chrono::milliseconds(1));
    protocol::Assignment assignment;
    assignment.job_name = name;
    ASSERT_TRUE(jobs_->create({name,
                               "arn:" + name,
                               "{}",
                               json::serialize(protocol::to_json(assignment)),
                               "[]",
                               {"K" + name, "s", "t"},
                               "[]"}));
  }
  void finish(const std::string& name) {
    for (JobEvent event :
         {JobEvent::downloading, JobEvent::training, JobEvent::uploading, JobEvent::completed}) {
      ASSERT_TRUE(jobs_->apply(name, event).value());
    }
  }
  std::string_view phase(const std::string& name) { return api_name(jobs_->find(name)->phase); }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  engine::FakeEngine engine_;
  std::unique_ptr<jobs::JobStore> jobs_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, jobs_run_in_order_up_to_the_limit) {
  for (const char* name : {"a", "b", "c"}) create(name);
  ASSERT_TRUE(scheduler_->look());
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) start(b) ");
  finish("a");
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) start(b) remove(a/1/algo-1) start(c) ");
}

TEST_F(SchedulerTest, a_lost_agent_is_started_again) {
  create("a");
  ASSERT_TRUE(scheduler_->look());
  engine_.lose("a");
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) start(a) ");
}

TEST_F(SchedulerTest, stops_reach_queued_and_running_jobs) {
  for (const char* name : {"a", "b", "c"}) create(name);
  ASSERT_TRUE(scheduler_->look());
  for (const char* name : {"a", "c"}) {
    ASSERT_TRUE(jobs_->apply(name, JobEvent::stop_requested).value());
  }
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) start(b) stop(a/1/algo-1) ");
  EXPECT_EQ(phase("c"), "Stopped");
  EXPECT_EQ(phase("a"), "Stopping");
}

TEST_F(SchedulerTest, a_start_that_may_work_later_is_tried_again_others_fail_the_job) {
  create("a");
  engine_.fail_next_start({Code::unavailable, "busy"});
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(phase("a"), "Starting");
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) start(a) ");
  create("b");
  engine_.fail_next_start({Code::invalid, "never"});
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(phase("b"), "Failed");
}

TEST_F(SchedulerTest, instances_that_no_job_knows_are_removed_at_the_start) {
  protocol::Assignment orphan;
  orphan.job_name = "orphan";
  ASSERT_TRUE(engine_.start({{orphan}}));
  create("a");
  ASSERT_TRUE(scheduler_->look());
  ASSERT_TRUE(scheduler_->recover());
  EXPECT_EQ(engine_.trace(), "start(orphan) start(a) remove(orphan/1/algo-1) ");
}

}  // namespace trainyard::scheduler
