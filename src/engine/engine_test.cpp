// SPDX-License-Identifier: Apache-2.0
// The contract, for the engines of this folder.
#include "base/process_tree.hpp"
#include "engine/contract_suite.hpp"
#include "engine/docker_for_tests.hpp"
#include "engine/fake_engine.hpp"
#include "engine/local_engine.hpp"

namespace trainyard::engine {

namespace {

class FakeFixture : public EngineFixture {
 public:
  std::unique_ptr<Engine> make(const fs::path&) override {
    auto made = std::make_unique<FakeEngine>();
    made->obey_stops();
    return made;
  }
  bool kill(Engine& engine, const Handle& handle) override {
    auto& fake = static_cast<FakeEngine&>(engine);
    fake.lose(handle.text.substr(0, handle.text.find('/')),
              handle.text.substr(handle.text.rfind('/') + 1));
    return true;
  }
  bool survives_restart() const override { return false; }
};

class LocalFixture : public EngineFixture {
 public:
  // Several instances need networks; the stand-in for an agent also is one for their holder.
  std::string missing() override {
    auto can = JobNetworks("own", "auto").choice();
    return can ? "" : can.error().message;
  }
  std::unique_ptr<Engine> make(const fs::path& folder) override {
    return std::make_unique<LocalEngine>(
        LocalEngineOptions{folder / "jobs", make_agent(folder), {}, "own"});
  }
  bool kill(Engine&, const Handle& handle) override {
    auto agent = read_process(fs::path(handle.text) / "agent.json");
    if (agent) send_signal(*agent, SIGKILL);
    return agent.has_value();
  }
};

class DockerFixture : public LocalFixture {
 public:
  std::string missing() override { return docker::DaemonForTests::obstacle(); }
  std::unique_ptr<Engine> make(const fs::path& folder) override {
    return DockerEngine::make(docker_options(folder, make_agent(folder))).value();
  }
};

}  // namespace

TRAINYARD_ENGINE_CONTRACT(Fake, std::make_unique<FakeFixture>);
TRAINYARD_ENGINE_CONTRACT(Local, std::make_unique<LocalFixture>);
TRAINYARD_ENGINE_CONTRACT(Docker, std::make_unique<DockerFixture>);

TEST(LocalEngineTest, a_gang_that_cannot_start_whole_leaves_nothing) {
  fs::path folder = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  ASSERT_TRUE(make_directories(folder / "jobs/a/1"));
  // In the place of the second instance's folder.
  ASSERT_TRUE(write_file_atomically(folder / "jobs/a/1/algo-2", "a file"));
  LocalEngine engine({folder / "jobs", make_agent(folder), {}});
  Gang gang;
  for (const char* host : {"algo-1", "algo-2"}) {
    protocol::Assignment one;
    one.job_name = "a";
    one.host = host;
    gang.instances.push_back(one);
  }
  EXPECT_FALSE(engine.start(gang));
  EXPECT_FALSE(fs::exists(folder / "jobs/a/1/algo-1"));
  EXPECT_TRUE(remove_tree(folder));
}

}  // namespace trainyard::engine
