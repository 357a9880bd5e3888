// SPDX-License-Identifier: Apache-2.0
#include "base/process_tree.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.hpp"

namespace trainyard {

TEST(ProcessTree, a_process_is_found_again_and_is_not_another_one) {
  auto process = start_detached({"/bin/sleep", "1000"}, {});
  ASSERT_TRUE(process) << process.error().message;
  EXPECT_TRUE(is_alive(*process));
  EXPECT_FALSE(is_alive({process->pid, process->start_time + 1})) << "a later one of that number";
  fs::path file = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  ASSERT_TRUE(write_process(file, *process));
  EXPECT_EQ(read_process(file)->start_time, process->start_time);
  ::unlink(file.c_str());
  EXPECT_FALSE(read_process(file));
  send_signal(*process, SIGKILL);
  ::waitpid(process->pid, nullptr, 0);
  EXPECT_FALSE(is_alive(*process));
}

TEST(ProcessTree, descendants_are_all_below) {
  auto shell = start_detached({"/bin/sh", "-c", "sleep 1000 & wait"}, {});
  ASSERT_TRUE(shell);
  std::vector<Process> below;
  while (below.empty() && is_alive(*shell)) below = descendants(shell->pid);
  ASSERT_EQ(below.size(), 1u);
  EXPECT_EQ(below[0].parent, shell->pid);
  send_signal(below[0].id, SIGKILL);
  ::waitpid(shell->pid, nullptr, 0);
}

}  // namespace trainyard
