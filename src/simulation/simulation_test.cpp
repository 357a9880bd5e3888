// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulation.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace trainyard::simulation {

using std::chrono::minutes;
using std::chrono::seconds;

class SimulationTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    options_.capacity.jobs = 1000;
    options_.capacity.vcpus = 64;
    options_.types.sizes = {
        {"ml.c5.xlarge", {4, 0, 0}}, {"ml.m5.large", {2, 0, 0}}, {"ml.m5.4xlarge", {16, 0, 0}}};
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  static JobPlan plan(const std::string& name, size_t instances = 1) {
    JobPlan made;
    made.name = name;
    made.instances = instances;
    return made;
  }
  static Time begin_of(Simulation& world, const std::string& name) {
    auto job = world.jobs().find(name).value();
    return job.training_start.value_or(Time::max());
  }
  static std::string_view phase(Simulation& world, const std::string& name) {
    return api_name(world.jobs().find(name)->phase);
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  scheduler::SchedulerOptions options_;
};

TEST_F(SimulationTest, every_job_of_a_crowd_runs_to_its_end_and_nothing_is_left) {
  Simulation world(folder_, options_);
  for (int i = 0; i < 60; ++i) world.create(plan(fmt::format("job-{}", i), 1 + i % 8));
  world.run();
  for (int i = 0; i < 60; ++i) EXPECT_EQ(phase(world, fmt::format("job-{}", i)), "Completed");
  EXPECT_EQ(world.engine().size(), 0u);
  EXPECT_LE(world.counts().most_instances, 32u) << "64 vCPUs are 32 instances of ml.m5.large";
  EXPECT_GE(world.counts().most_instances, 28u) << "and they are used";
}

TEST_F(SimulationTest, a_big_job_is_not_starved_by_a_stream_of_small_ones) {
  Simulation world(folder_, options_);
  for (int i = 0; i < 32; ++i) world.create(plan(fmt::format("first-{}", i)));
  world.run(seconds(1));
  JobPlan big = plan("big", 4);
  big.instance_type = "ml.m5.4xlarge";  // the whole host
  world.create(big);
  Time asked = world.clock().now();
  int number = 0;
  while (begin_of(world, "big") == Time::max() && world.clock().now() < asked + minutes(60)) {
    for (int i = 0; i < 8; ++i) world.create(plan(fmt::format("small-{}", number++)));
    world.run(seconds(20));
  }
  // It lets others pass for ten minutes, and then waits for those that run.
  EXPECT_LT(begin_of(world, "big") - asked, scheduler::kPatience + minutes(5));
}

TEST_F(SimulationTest, jobs_of_one_size_start_in_the_order_of_their_creation) {
  Simulation world(folder_, options_);
  for (int i = 0; i < 100; ++i) {
    world.create(plan(fmt::format("job-{:03}", i), 8));
    world.run(seconds(1));
  }
  world.run();
  std::vector<Time> created;
  for (int i = 0; i < 100; ++i) {
    auto instances = world.jobs().find(fmt::format("job-{:03}", i)).value();
    // Pending ends where the instances are started; their own boot times differ.
    Time start = instances.transitions.front().start;
    for (const jobs::Transition& step : instances.transitions) {
      if (step.phase == Phase::pending && step.end) start = *step.end;
    }
    created.push_back(start);
  }
  // Boot times vary by half a minute; a job that was passed by another would be minutes late.
  for (size_t i = 4; i < created.size(); ++i) EXPECT_GE(created[i] + minutes(1), created[i - 4]);
}

TEST_F(SimulationTest, failures_name_their_host_and_end_the_gang) {
  Simulation world(folder_, options_);
  JobPlan failing = plan("failing", 8);
  failing.failing_host = 3;
  JobPlan lost = plan("lost", 8);
  lost.lost_host = 5;
  world.create(failing);
  world.create(lost);
  world.create(plan("well", 8));
  world.run();
  EXPECT_EQ(world.jobs().find("failing")->failure_reason,
            "AlgorithmError: , exit code: 1 (algo-3 was the first of 8 instances to fail)");
  EXPECT_EQ(phase(world, "lost"), "Failed");
  EXPECT_NE(world.jobs().find("lost")->failure_reason.find("algo-5"), std::string::npos);
  EXPECT_EQ(phase(world, "well"), "Completed");
  EXPECT_EQ(world.engine().size(), 0u);
}

TEST_F(SimulationTest, a_server_that_is_killed_again_and_again_loses_nothing) {
  Simulation world(folder_, options_);
  for (int i = 0; i < 40; ++i) world.create(plan(fmt::format("job-{}", i), 1 + i % 4));
  for (int i = 0; i < 30; ++i) {
    world.run(seconds(7));
    world.restart_server();
  }
  world.run();
  for (int i = 0; i < 40; ++i) EXPECT_EQ(phase(world, fmt::format("job-{}", i)), "Completed");
  EXPECT_EQ(world.engine().size(), 0u);
}

TEST_F(SimulationTest, the_same_seed_is_the_same_story) {
  auto story = [&](const char* name) { ASSERT_TRUE(make_directories(folder_ / name)); };
  story("a");
  story("b");
  Simulation first(folder_ / "a", options_, 7);
  Simulation second(folder_ / "b", options_, 7);
  for (Simulation* world : {&first, &second}) {
    for (int i = 0; i < 10; ++i) world->create(plan(fmt::format("job-{}", i), 4));
    world->run();
  }
  EXPECT_EQ(first.counts().reports, second.counts().reports);
  EXPECT_EQ(first.clock().now(), second.clock().now());
}

}  // namespace trainyard::simulation
