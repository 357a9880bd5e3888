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
    options.capacity.jobs = 2;
    scheduler_ = std::make_unique<Scheduler>(options, *jobs_, engine_, clock_);
  }
  void TearDown() override {
    jobs_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  void create(const std::string& name, std::vector<std::string> hosts = {"algo-1"},
              const std::string& type = "ml.m5.large") {
    clock_.advance(std::chrono::milliseconds(1));
    protocol::Assignment assignment;
    assignment.job_name = name;
    assignment.hosts = std::move(hosts);
    assignment.instance_type = type;
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

TEST_F(SchedulerTest, a_job_without_room_is_pending_and_says_why) {
  for (const char* name : {"a", "b", "c"}) create(name);
  ASSERT_TRUE(scheduler_->look());
  auto waiting = jobs_->find("c").value();
  EXPECT_EQ(api_name(waiting.phase), "Pending");
  EXPECT_EQ(waiting.transitions.back().message,
            "Waiting for capacity: 2 jobs run, the most at once here (max-running-jobs)");
  finish("b");
  ASSERT_TRUE(scheduler_->look());
  ASSERT_TRUE(jobs_->apply("c", JobEvent::preparing).value());
  EXPECT_EQ(phase("c"), "Starting");
}

TEST_F(SchedulerTest, gpus_are_given_to_one_instance_each) {
  SchedulerOptions options;
  options.capacity = {9, {}, {}, 3};
  options.types.sizes["ml.g5.xlarge"] = {4, 0, 1};
  Scheduler scheduler(options, *jobs_, engine_, clock_);
  create("a", {"algo-1", "algo-2"}, "ml.g5.xlarge");
  create("b", {"algo-1", "algo-2"}, "ml.g5.xlarge");
  ASSERT_TRUE(scheduler.look());
  auto instances = jobs_->instances("a").value();
  ASSERT_EQ(instances.size(), 2u);
  EXPECT_EQ(instances[0].gpus, std::vector<int64_t>{0});
  EXPECT_EQ(instances[1].gpus, std::vector<int64_t>{1});
  EXPECT_EQ(phase("b"), "Pending");
  finish("a");
  ASSERT_TRUE(scheduler.look());
  EXPECT_EQ(jobs_->instances("b").value().size(), 2u);
}

TEST_F(SchedulerTest, a_gang_starts_as_one_and_its_lost_agents_are_started_again) {
  create("a", {"algo-1", "algo-2", "algo-3"});
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) ");
  EXPECT_EQ(engine_.recover()->size(), 3u);
  engine_.lose("a", "algo-2");
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) start(a) ");
}

TEST_F(SchedulerTest, when_one_instance_fails_the_others_are_stopped_and_the_job_fails_at_the_end) {
  create("a", {"algo-1", "algo-2"});
  ASSERT_TRUE(scheduler_->look());
  auto report = [&](size_t host, protocol::EventKind kind, protocol::Outcome outcome,
                    const std::string& reason) {
    auto instance = jobs_->instances("a").value()[host];
    protocol::Event event;
    event.sequence = instance.acknowledged_sequence + 1;
    event.kind = kind;
    event.time_ms = to_epoch_ms(clock_.now());
    if (kind == protocol::EventKind::finished) event.outcome = outcome;
    event.failure_reason = reason;
    ASSERT_TRUE(jobs_->take_events(instance, {event}));
  };
  using protocol::EventKind;
  using protocol::Outcome;
  for (size_t host : {0u, 1u}) {
    report(host, EventKind::downloading, {}, "");
    report(host, EventKind::training, {}, "");
  }
  report(1, EventKind::finished, Outcome::failed, "AlgorithmError: x");
  EXPECT_EQ(phase("a"), "Training");
  ASSERT_TRUE(scheduler_->look());
  EXPECT_EQ(engine_.trace(), "start(a) stop(a/1/algo-1) ");
  report(0, EventKind::finished, Outcome::stopped, "");
  EXPECT_EQ(phase("a"), "Failed");
  EXPECT_EQ(jobs_->find("a")->failure_reason,
            "AlgorithmError: x (algo-2 was the first of 2 instances to fail)");
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
