// SPDX-License-Identifier: Apache-2.0
#include "sandbox/supervise.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/random.hpp"

namespace trainyard::sandbox {
namespace {

class SuperviseTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(folder_)); }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  // Starts a supervisor over this shell script, run by a shell of this name. Scripts end by
  // themselves after a while, so that a lost signal is a wrong exit code and no hanging test.
  pid_t start(const std::string& shell, const std::string& script) {
    fs::create_symlink("/bin/bash", path(shell));
    json::object plan{{"command", json::array{path(shell), "-c", script}},
                      {"variables", json::array{"PATH=/usr/bin:/bin"}},
                      {"working_dir", folder_.string()},
                      {"log", path("log")},
                      {"pid_file", path("pid")},
                      {"exit_file", path("exit")},
                      {"reserve", path("reserve")},
                      {"groups", json::array()}};
    EXPECT_TRUE(write_file_atomically(path("plan"), json::serialize(plan)));
    pid_t pid = ::fork();
    if (pid == 0) ::_exit(supervise(path("plan")));
    return pid;
  }

  std::string path(const std::string& name) const { return folder_ / name; }

  void await_file(const std::string& name) const {
    while (!fs::exists(path(name))) ::poll(nullptr, 0, 1);
  }

  // Returns when the process has taken the signal.
  static void send(pid_t process, int signal) {
    ::kill(process, signal);
    fs::path status = fmt::format("/proc/{}/status", process);
    for (;;) {
      std::string text = read_file(status, 1 << 16).value_or("");
      size_t pending = text.find("ShdPnd:\t");
      ASSERT_NE(pending, std::string::npos);
      uint64_t mask = std::stoull(text.substr(pending + 8, 16), nullptr, 16);
      if ((mask >> (signal - 1) & 1) == 0) return;
      ::poll(nullptr, 0, 1);
    }
  }

  int exit_code_of(pid_t supervisor) const {
    ::waitpid(supervisor, nullptr, 0);
    auto record = read_exit(path("exit"));
    return record ? record->exit_code : -1;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
};

TEST_F(SuperviseTest, sigterm_reaches_the_script) {
  pid_t supervisor = start("shell", "touch here; exec sleep 30");
  await_file("pid");
  await_file("here");
  ::kill(supervisor, SIGTERM);
  EXPECT_EQ(exit_code_of(supervisor), 128 + SIGTERM);
}

TEST_F(SuperviseTest, sigterm_waits_for_a_script_whose_walls_are_being_built) {
  // A process named bwrap is a wall: it must not get the signal, and the script is not there yet.
  pid_t supervisor = start(
      "bwrap", ": > here; until [ -e go ]; do read -t 0.01 <> /dev/null; done; exec sleep 30");
  await_file("pid");
  await_file("here");
  send(supervisor, SIGTERM);
  send(supervisor, SIGHUP);  // taken after the answer to SIGTERM
  ASSERT_TRUE(write_file_atomically(path("go"), ""));
  EXPECT_EQ(exit_code_of(supervisor), 128 + SIGTERM);
}

}  // namespace
}  // namespace trainyard::sandbox
