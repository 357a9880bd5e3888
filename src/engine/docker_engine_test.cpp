// SPDX-License-Identifier: Apache-2.0
#include "engine/docker_engine.hpp"

#include <optional>

#include "base/process_tree.hpp"
#include "base/random.hpp"
#include "docker/client.hpp"
#include "docker/daemon_for_tests.hpp"
#include "engine/docker_for_tests.hpp"

namespace trainyard::engine {

class DockerEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = docker::DaemonForTests::obstacle(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_TRUE(make_directories(folder_));
    ASSERT_TRUE(write_file_atomically(agent_, "#!/bin/sh\nexec sleep 1000\n", 0755));
    engine_ = DockerEngine::make(docker_options(folder_, agent_)).value();
    docker_.emplace(docker::Client::connect(docker_for_tests()->host()).value());
    ASSERT_TRUE(docker_for_tests()->make_image("engine:1", "exec sleep 1000"));
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  std::string service() const { return service_of(folder_); }
  Gang gang(const std::string& job) {
    protocol::Assignment one;
    one.job_name = job;
    return {{one}};
  }
  // As an agent makes it.
  void run_container(const std::string& job) {
    docker::ContainerSpec spec;
    spec.image = "engine:1";
    spec.arguments = {"train"};
    spec.network = fmt::format("trainyard-{}-{}-1", service(), job);
    spec.labels = {{docker::kServiceLabel, service()},
                   {docker::kJobLabel, job},
                   {docker::kAttemptLabel, "1"},
                   {docker::kInstanceLabel, "algo-1"}};
    auto made = docker_->create_container(job + service(), spec);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(docker_->start_container(*made));
  }
  size_t containers() { return docker_->containers(docker::kServiceLabel, service())->size(); }
  size_t networks() { return docker_->networks(docker::kServiceLabel, service())->size(); }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  fs::path agent_ = folder_ / "agent";
  std::unique_ptr<Engine> engine_;
  std::optional<docker::Client> docker_;
};

TEST_F(DockerEngineTest, removes_containers_and_network_with_the_instance) {
  auto handles = engine_->start(gang("a"));
  ASSERT_TRUE(handles) << handles.error().message;
  run_container("a");
  EXPECT_EQ(networks(), 1u);
  auto removed = engine_->remove(handles->at(0));
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(containers(), 0u);
  EXPECT_EQ(networks(), 0u);
}

TEST_F(DockerEngineTest, keeps_what_belongs_to_an_instance_and_removes_orphans) {
  auto a = engine_->start(gang("a"));
  auto b = engine_->start(gang("b"));
  ASSERT_TRUE(a && b);
  run_container("a");
  run_container("b");
  // b's folder is lost, as when a data folder is restored from before.
  auto agent = read_process(fs::path(b->at(0).text) / "agent.json");
  ASSERT_TRUE(agent);
  send_signal(*agent, SIGKILL);
  ASSERT_TRUE(remove_tree(folder_ / "jobs/b"));
  EXPECT_EQ(engine_->recover()->size(), 1u);
  EXPECT_EQ(containers(), 1u);
  EXPECT_EQ(networks(), 1u);
  ASSERT_TRUE(engine_->remove(a->at(0)));
}

TEST_F(DockerEngineTest, says_that_the_daemon_is_away) {
  auto away = docker_options(folder_, agent_);
  away.host.container.docker += ".none";
  auto engine = DockerEngine::make(away).value();
  EXPECT_EQ(engine->start(gang("a")).error().code, Code::unavailable);
  EXPECT_FALSE(fs::exists(folder_ / "jobs/a"));
}

}  // namespace trainyard::engine
