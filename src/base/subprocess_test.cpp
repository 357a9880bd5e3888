// SPDX-License-Identifier: Apache-2.0
#include "base/subprocess.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include "base/process_tree.hpp"
#include "base/text.hpp"

namespace trainyard {

namespace {

Command shell(std::string script) {
  Command command;
  command.arguments = {"sh", "-c", std::move(script)};
  return command;
}

}  // namespace

TEST(Subprocess, output_and_exit_code_come_back) {
  Command command = shell("echo $WORD; echo two >&2; printf three; exit 3");
  command.variables = {"WORD=one"};
  std::vector<std::string> lines;
  command.on_line = [&](std::string_view line) { lines.emplace_back(line); };
  auto ended = run(command);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 3);
  EXPECT_EQ(ended->output, "one\ntwo\nthree");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"}));
}

TEST(Subprocess, a_signal_is_128_plus_its_number) {
  EXPECT_EQ(run(shell("kill -9 $$"))->exit_code, 137);
}

TEST(Subprocess, a_program_that_is_not_there_is_not_found) {
  Command command;
  command.arguments = {"trainyard-no-such-program"};
  EXPECT_EQ(run(command).error().code, Code::not_found);
}

TEST(Subprocess, a_child_left_behind_holds_nobody_up_and_is_killed) {
  auto ended = run(shell("sleep 1000 & echo $!"));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 0);
  auto child = parse_signed(trim(ended->output));
  ASSERT_TRUE(child);
  // The signal was sent before run() returned; init may still have to reap the child.
  auto process = identify(static_cast<pid_t>(*child));
  while (process && is_alive(*process)) ::poll(nullptr, 0, 1);
}

TEST(Subprocess, a_stop_and_a_timeout_kill_the_group) {
  std::stop_source source;
  Command command = shell("echo ready; sleep 1000");
  command.on_line = [&](std::string_view) { source.request_stop(); };
  EXPECT_EQ(run(command, source.get_token()).error().code, Code::cancelled);
  Command slow = shell("sleep 1000");
  slow.timeout = std::chrono::milliseconds(20);
  EXPECT_EQ(run(slow).error().code, Code::timeout);
}

TEST(Subprocess, only_the_end_of_long_output_is_kept) {
  auto ended = run(shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end"));
  ASSERT_TRUE(ended);
  EXPECT_LE(ended->output.size(), 128u << 10);
  EXPECT_TRUE(ended->output.ends_with("xend\n"));
}

}  // namespace trainyard
