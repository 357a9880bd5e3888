// SPDX-License-Identifier: Apache-2.0
// The client against a real daemon.
#include <gtest/gtest.h>

#include <map>

#include "base/random.hpp"
#include "docker/client.hpp"
#include "docker/daemon_for_tests.hpp"
#include "docker/image_check.hpp"

namespace trainyard::docker {

class Daemon : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!DaemonForTests::obstacle().empty()) return;
    auto started = DaemonForTests::start();
    ASSERT_TRUE(started) << started.error().message;
    daemon = std::move(*started);
  }
  static void TearDownTestSuite() { daemon.reset(); }
  void SetUp() override {
    if (std::string why = DaemonForTests::obstacle(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_TRUE(daemon);
  }

  Client client() { return Client::connect(daemon->host()).value(); }
  void make_image(const std::string& script) {
    auto made = daemon->make_image("test:1", script);
    ASSERT_TRUE(made) << made.error().message;
  }
  // Runs `train` of test:1 and returns what it printed.
  std::string output_of(Client& client, const std::string& name) {
    std::string text;
    auto take = [&](std::string_view payload) -> Result<> {
      text += payload;
      return {};
    };
    auto read = client.read_output(name, true, take, {});
    EXPECT_TRUE(read) << read.error().message;
    return text;
  }
  ContainerSpec spec() {
    ContainerSpec spec;
    spec.image = "test:1";
    spec.arguments = {"train"};
    spec.labels = {{"trainyard.test", "yes"}};
    return spec;
  }

  inline static std::unique_ptr<DaemonForTests> daemon;
};

TEST_F(Daemon, runs_a_container_to_its_end) {
  make_image("echo to stdout; echo to stderr >&2; exit 3");
  Client docker = client();
  EXPECT_EQ(docker.inspect_image("test:1")->entrypoint.size(), 0u);
  EXPECT_EQ(docker.inspect_image("missing:1").error().code, Code::not_found);
  auto created = docker.create_container("one", spec());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(docker.create_container("one", spec()).error().code, Code::conflict);
  EXPECT_EQ(docker.inspect_container("one")->status, ContainerStatus::created);
  ASSERT_TRUE(docker.start_container("one"));
  std::string output = output_of(docker, "one");
  // Two pipes: the daemon keeps no order between them.
  EXPECT_TRUE(output == "to stdout\nto stderr\n" || output == "to stderr\nto stdout\n") << output;
  auto ended = docker.inspect_container("one").value();
  EXPECT_EQ(ended.status, ContainerStatus::ended);
  EXPECT_EQ(ended.exit_code, 3);
  ASSERT_EQ(docker.containers("trainyard.test", "yes")->size(), 1u);
  EXPECT_EQ(docker.containers("trainyard.test", "no")->size(), 0u);
  ASSERT_TRUE(docker.signal_container("one", "SIGTERM"));
  ASSERT_TRUE(docker.remove_container("one"));
  ASSERT_TRUE(docker.remove_container("one"));
  EXPECT_EQ(docker.inspect_container("one").error().code, Code::not_found);
}

TEST_F(Daemon, says_in_the_output_why_a_program_does_not_start) {
  make_image("exit 0");
  Client docker = client();
  ContainerSpec wrong = spec();
  wrong.arguments = {"no-such-program"};
  ASSERT_TRUE(docker.create_container("wrong", wrong));
  ASSERT_TRUE(docker.start_container("wrong"));
  EXPECT_NE(output_of(docker, "wrong").find("no-such-program"), std::string::npos);
  EXPECT_EQ(docker.inspect_container("wrong")->exit_code, 127);
  ASSERT_TRUE(docker.remove_container("wrong"));
}

TEST_F(Daemon, stops_to_read_when_it_is_asked) {
  make_image("echo begun; exec sleep 1000");
  Client docker = client();
  ASSERT_TRUE(docker.create_container("long", spec()));
  ASSERT_TRUE(docker.start_container("long"));
  std::stop_source stop;
  auto read = docker.read_output(
      "long", true,
      [&](std::string_view) -> Result<> {
        stop.request_stop();
        return {};
      },
      stop.get_token());
  EXPECT_EQ(read.error().code, Code::cancelled);
  EXPECT_GT(docker.inspect_container("long")->pid, 0);
  ASSERT_TRUE(docker.signal_container("long", "SIGKILL"));
  EXPECT_EQ(output_of(docker, "long"), "begun\n");
  EXPECT_EQ(docker.inspect_container("long")->exit_code, 137);
  ASSERT_TRUE(docker.remove_container("long"));
}

TEST_F(Daemon, shows_an_overlay_that_leaves_the_originals_alone) {
  make_image("echo changed > /data/file; echo new > /data/new; cat /data/file; ls /data");
  fs::path folder = fs::temp_directory_path() / ("trainyard-" + random_hex(6));
  for (const char* name : {"lower", "upper", "work"}) ASSERT_TRUE(make_directories(folder / name));
  ASSERT_TRUE(write_file_atomically(folder / "lower/file", "original"));
  Client docker = client();
  ContainerSpec over = spec();
  over.mounts = {{folder / "upper", "/data", false, folder / "lower", folder / "work", "overlaid"}};
  auto created = docker.create_container("over", over);
  ASSERT_TRUE(created) << created.error().message;
  auto started = docker.start_container("over");
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(output_of(docker, "over"), "changed\nfile\nnew\n");
  EXPECT_EQ(read_file(folder / "lower/file").value(), "original");
  EXPECT_EQ(docker.volumes("trainyard.test", "yes")->size(), 1u);
  ASSERT_TRUE(docker.remove_container("over"));
  ASSERT_TRUE(docker.remove_volume("overlaid"));
  ASSERT_TRUE(docker.remove_volume("overlaid"));
  static_cast<void>(remove_tree(folder));
}

TEST_F(Daemon, makes_networks_with_and_without_a_way_out) {
  Client docker = client();
  ASSERT_TRUE(docker.create_network("open", false, {{"trainyard.test", "net"}}));
  EXPECT_EQ(docker.create_network("open", false, {}).error().code, Code::conflict);
  auto found = docker.inspect_network("open").value();
  EXPECT_NE(found.gateway, "");
  EXPECT_EQ(docker.networks("trainyard.test", "net")->size(), 1u);
  ASSERT_TRUE(docker.remove_network("open"));
  ASSERT_TRUE(docker.remove_network("open"));
}

TEST_F(Daemon, says_what_an_image_lacks) {
  Client docker = client();
  auto kinds = [&](const std::string& image) {
    auto findings = check_image(docker, image);
    EXPECT_TRUE(findings) << findings.error().message;
    std::map<std::string, Finding> by_subject;
    if (findings) {
      for (const ImageFinding& one : *findings) by_subject[one.about] = one.kind;
    }
    return by_subject;
  };
  make_image("exit 0");
  EXPECT_EQ(kinds("test:1")["entry point"], Finding::good);
  ASSERT_TRUE(daemon->make_image("test:2", "", "ENTRYPOINT [\"/missing\"]"));
  EXPECT_EQ(kinds("test:2")["entry point"], Finding::wrong);
  ASSERT_TRUE(daemon->make_image("test:3", "", "USER 1000"));
  EXPECT_EQ(kinds("test:3")["user"], Finding::notice);
  EXPECT_EQ(check_image(docker, "none:1").error().code, Code::not_found);
  EXPECT_TRUE(docker.containers("trainyard.test", "yes")->empty());
}

TEST_F(Daemon, tells_when_it_is_not_there) {
  Host host = daemon->host();
  host.unix_socket += ".none";
  EXPECT_EQ(Client::connect(host).error().code, Code::unavailable);
}

}  // namespace trainyard::docker
