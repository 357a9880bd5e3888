// SPDX-License-Identifier: Apache-2.0
// The contract of engine.hpp as tests, the same for every engine. A test program that includes this
// names its engines with TRAINYARD_ENGINE_CONTRACT(Docker, docker_fixture). For tests only.
//
// Agents are stand-ins that wait for SIGTERM: what an agent does is agent/'s business.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.hpp"
#include "base/random.hpp"
#include "engine/engine.hpp"

namespace trainyard::engine {

// One engine under test, with a place of its own.
class EngineFixture {
 public:
  virtual ~EngineFixture() = default;
  // Why it cannot run here; empty: it can.
  virtual std::string missing() { return ""; }
  // The engine as after a restart of the server: what was started before is its business.
  virtual std::unique_ptr<Engine> make(const fs::path& folder) = 0;
  // Ends the agent of an instance without a word: kill -9. False: this engine has no such thing.
  virtual bool kill(Engine& engine, const Handle& handle) = 0;
  // False: a second engine knows nothing of the first one's instances.
  virtual bool survives_restart() const { return true; }
};

// A stand-in for `trainyard agent` in `folder`; ends on SIGTERM.
inline fs::path make_agent(const fs::path& folder) {
  fs::path program = folder / "agent";
  static_cast<void>(write_file_atomically(program, "#!/bin/sh\nexec sleep 1000\n", 0755));
  return program;
}

using FixtureMaker = std::function<std::unique_ptr<EngineFixture>()>;

class EngineContract : public testing::TestWithParam<FixtureMaker> {
 protected:
  void SetUp() override {
    fixture_ = GetParam()();
    if (std::string why = fixture_->missing(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_TRUE(make_directories(folder_));
    engine_ = fixture_->make(folder_);
  }
  void TearDown() override {
    if (!engine_) return;
    auto found = engine_->recover();
    if (found) {
      for (const Found& instance : *found) static_cast<void>(engine_->remove(instance.handle));
    }
    engine_.reset();
    static_cast<void>(remove_tree(folder_));
  }

  static Gang gang(const std::string& job, size_t count = 1) {
    protocol::Assignment one;
    one.job_name = job;
    one.hosts.clear();
    for (size_t i = 1; i <= count; ++i) one.hosts.push_back("algo-" + std::to_string(i));
    Gang made;
    for (const std::string& host : one.hosts) {
      one.host = host;
      made.instances.push_back(one);
    }
    return made;
  }
  Result<std::vector<Handle>> start(const std::string& job, size_t count = 1) {
    return engine_->start(gang(job, count));
  }
  // Engines may take their time from "starting" to "running" and from there to "gone".
  InstanceState await(const Handle& handle, InstanceState wanted) {
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
      auto seen = engine_->inspect(handle);
      InstanceState state = seen ? seen->state : InstanceState::starting;
      if (state == wanted || std::chrono::steady_clock::now() > limit) return state;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  std::unique_ptr<EngineFixture> fixture_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(EngineContract, a_started_instance_runs_until_it_is_removed) {
  auto handles = start("a");
  ASSERT_TRUE(handles) << handles.error().message;
  EXPECT_EQ(await(handles->at(0), InstanceState::running), InstanceState::running);
  EXPECT_TRUE(engine_->remove(handles->at(0)));
  EXPECT_EQ(await(handles->at(0), InstanceState::gone), InstanceState::gone);
  EXPECT_TRUE(engine_->recover()->empty());
}

TEST_P(EngineContract, a_gang_starts_whole_and_in_its_order) {
  auto handles = start("a", 3);
  ASSERT_TRUE(handles) << handles.error().message;
  ASSERT_EQ(handles->size(), 3u);
  for (const Handle& handle : *handles) {
    EXPECT_EQ(await(handle, InstanceState::running), InstanceState::running);
  }
  auto found = engine_->recover().value();
  ASSERT_EQ(found.size(), 3u);
  for (const Found& instance : found) {
    size_t number = std::stoul(instance.host.substr(5));
    EXPECT_EQ(instance.handle.text, handles->at(number - 1).text);
  }
}

TEST_P(EngineContract, starting_twice_gives_the_same_instances) {
  auto first = start("a", 2);
  auto second = start("a", 2);
  ASSERT_TRUE(first && second);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(first->at(i).text, second->at(i).text);
  EXPECT_EQ(engine_->recover()->size(), 2u);
}

TEST_P(EngineContract, one_that_dies_is_gone_and_the_others_run_on) {
  auto handles = start("a", 2);
  ASSERT_TRUE(handles) << handles.error().message;
  for (const Handle& handle : *handles) {
    ASSERT_EQ(await(handle, InstanceState::running), InstanceState::running);
  }
  ASSERT_TRUE(fixture_->kill(*engine_, handles->at(1)));
  EXPECT_EQ(await(handles->at(1), InstanceState::gone), InstanceState::gone);
  EXPECT_EQ(engine_->inspect(handles->at(0))->state, InstanceState::running);
}

TEST_P(EngineContract, a_stop_reaches_the_agent) {
  auto handles = start("a");
  ASSERT_TRUE(handles) << handles.error().message;
  ASSERT_EQ(await(handles->at(0), InstanceState::running), InstanceState::running);
  EXPECT_TRUE(engine_->stop(handles->at(0)));
  EXPECT_TRUE(engine_->stop(handles->at(0)));
  EXPECT_EQ(await(handles->at(0), InstanceState::gone), InstanceState::gone);
}

TEST_P(EngineContract, recover_finds_what_exists) {
  ASSERT_TRUE(start("a", 2));
  ASSERT_TRUE(start("b"));
  if (fixture_->survives_restart()) engine_ = fixture_->make(folder_);
  auto found = engine_->recover().value();
  ASSERT_EQ(found.size(), 3u);
  for (const Found& instance : found) {
    EXPECT_EQ(await(instance.handle, InstanceState::running), InstanceState::running);
    EXPECT_EQ(instance.attempt, 1);
  }
}

TEST_P(EngineContract, stop_and_remove_of_what_is_gone_are_fine) {
  auto handles = start("a");
  ASSERT_TRUE(handles) << handles.error().message;
  EXPECT_TRUE(engine_->remove(handles->at(0)));
  EXPECT_TRUE(engine_->stop(handles->at(0)));
  EXPECT_TRUE(engine_->remove(handles->at(0)));
}

#define TRAINYARD_ENGINE_CONTRACT(name, maker) \
  INSTANTIATE_TEST_SUITE_P(name, EngineContract, testing::Values(FixtureMaker(maker)))

}  // namespace trainyard::engine
