// SPDX-License-Identifier: Apache-2.0
// The parts of a container's life that need no daemon.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "agent/container_output.hpp"
#include "agent/container_stop.hpp"
#include "base/random.hpp"

namespace trainyard::agent {

class ContainerLog : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(folder_)); }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }
  ContainerOutput output() {
    return ContainerOutput::open(folder_ / "log", folder_ / "cursor").value();
  }
  std::string log() { return read_file(folder_ / "log").value_or("?"); }
  void append(std::string_view text) {
    Fd fd = open_file(folder_ / "log", O_WRONLY | O_APPEND | O_CREAT, 0600).value();
    ASSERT_TRUE(write_all(fd.get(), text));
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
};

TEST_F(ContainerLog, has_each_frame_once_however_often_agents_die) {
  append("platform\n");
  const std::vector<std::string> frames = {"one\n", "two\n", "two\n", "", "three\n"};
  for (size_t died_after = 0; died_after <= frames.size(); ++died_after) {
    ContainerOutput again = output();
    for (size_t i = 0; i < died_after; ++i) ASSERT_TRUE(again.take(i, frames[i]));
  }
  EXPECT_EQ(log(), "platform\none\ntwo\ntwo\nthree\n");
}

TEST_F(ContainerLog, goes_on_within_a_frame_that_was_half_written) {
  { ASSERT_TRUE(output().take(0, "first\n")); }
  {
    ContainerOutput dying = output();
    ASSERT_TRUE(dying.take(0, "first\n"));
    ASSERT_TRUE(dying.take(1, "half and half\n"));
  }
  // As if the kill had come in the middle of the write.
  fs::resize_file(folder_ / "log", std::string("first\nhalf an").size());
  ContainerOutput next = output();
  ASSERT_TRUE(next.take(0, "first\n"));
  ASSERT_TRUE(next.take(1, "half and half\n"));
  ASSERT_TRUE(next.take(2, "last\n"));
  EXPECT_EQ(log(), "first\nhalf and half\nlast\n");
}

TEST_F(ContainerLog, sees_its_frame_beside_what_the_platform_said) {
  { ASSERT_TRUE(output().take(0, "line\n")); }
  append("said meanwhile\n");
  ContainerOutput next = output();
  ASSERT_TRUE(next.take(0, "line\n"));
  ASSERT_TRUE(next.take(1, "more\n"));
  EXPECT_EQ(log(), "line\nsaid meanwhile\nmore\n");
}

TEST_F(ContainerLog, refuses_a_broken_cursor) {
  ASSERT_TRUE(write_file_atomically(folder_ / "cursor", "nonsense"));
  EXPECT_FALSE(ContainerOutput::open(folder_ / "log", folder_ / "cursor"));
}

TEST(ContainerStop, leaves_out_launchers_that_wait_for_others) {
  std::vector<Process> tree = {{{10, 1}, 9, "train"},
                               {{11, 1}, 10, "sh"},
                               {{12, 1}, 11, "python3"},
                               {{13, 1}, 12, "python3"}};
  auto pids = [&](const std::function<bool(pid_t)>& handles) {
    std::vector<pid_t> list;
    for (const ProcessId& id : processes_to_signal(tree, 9, handles)) list.push_back(id.pid);
    return list;
  };
  EXPECT_EQ(pids([](pid_t) { return false; }), (std::vector<pid_t>{12, 13}));
  EXPECT_EQ(pids([](pid_t pid) { return pid == 10; }), (std::vector<pid_t>{10, 12, 13}));
  tree = {{{10, 1}, 9, "sh"}};
  EXPECT_EQ(pids([](pid_t) { return false; }), (std::vector<pid_t>{10}));
}

}  // namespace trainyard::agent
