// SPDX-License-Identifier: Apache-2.0
// The contract of engine.hpp, for every engine. The local engine starts a stand-in for the agent
// that waits for SIGTERM: what an agent does is agent/'s business.
#include "engine/engine.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "engine/fake_engine.hpp"
#include "engine/local_engine.hpp"

namespace trainyard::engine {

class EngineContract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    fs::path program = folder_ / "agent";
    ASSERT_TRUE(write_file_atomically(program, "#!/bin/sh\nexec sleep 1000\n", 0755));
    engine_ = make();
  }
  void TearDown() override {
    auto found = engine_->recover();
    if (found) {
      for (const Found& instance : *found) static_cast<void>(engine_->remove(instance.handle));
    }
    static_cast<void>(remove_tree(folder_));
  }
  std::unique_ptr<Engine> make() {
    if (GetParam() == "fake") return std::make_unique<FakeEngine>();
    return std::make_unique<LocalEngine>(
        LocalEngineOptions{folder_ / "jobs", folder_ / "agent", {}});
  }
  protocol::Assignment assignment(std::string job) {
    protocol::Assignment made;
    made.job_name = std::move(job);
    return made;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  std::unique_ptr<Engine> engine_;
};

TEST_P(EngineContract, a_started_instance_runs_until_it_is_removed) {
  auto handle = engine_->start(assignment("a"));
  ASSERT_TRUE(handle) << handle.error().message;
  EXPECT_EQ(engine_->inspect(*handle).value(), InstanceState::running);
  EXPECT_TRUE(engine_->remove(*handle));
  EXPECT_EQ(engine_->inspect(*handle).value(), InstanceState::gone);
  EXPECT_TRUE(engine_->recover()->empty());
}

TEST_P(EngineContract, starting_twice_gives_the_same_instance) {
  auto first = engine_->start(assignment("a"));
  auto second = engine_->start(assignment("a"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->text, second->text);
  EXPECT_EQ(engine_->recover()->size(), 1u);
}

TEST_P(EngineContract, recover_finds_what_exists) {
  ASSERT_TRUE(engine_->start(assignment("a")));
  auto b = engine_->start(assignment("b"));
  if (GetParam() != "fake") engine_ = make();  // as after a restart of the server
  auto found = engine_->recover().value();
  ASSERT_EQ(found.size(), 2u);
  for (const Found& instance : found) {
    EXPECT_EQ(engine_->inspect(instance.handle).value(), InstanceState::running);
    EXPECT_EQ(instance.host, "algo-1");
    EXPECT_EQ(instance.attempt, 1);
  }
}

TEST_P(EngineContract, stop_and_remove_of_what_is_gone_are_fine) {
  auto handle = engine_->start(assignment("a"));
  ASSERT_TRUE(handle);
  EXPECT_TRUE(engine_->remove(*handle));
  EXPECT_TRUE(engine_->stop(*handle));
  EXPECT_TRUE(engine_->remove(*handle));
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineContract, testing::Values("fake", "local"),
                         [](const auto& made) { return made.param; });

}  // namespace trainyard::engine
