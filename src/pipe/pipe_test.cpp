// SPDX-License-Identifier: Apache-2.0
#include "pipe/pipe.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.hpp"

namespace trainyard::pipe {
namespace {

// The process itself, started as the agent does.
class PipeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(plan_.folder));
    ASSERT_TRUE(make_directories(plan_.state, 0700));
    ASSERT_TRUE(write_file_atomically(folder_ / "object", bytes_));
    PipeChannel channel;
    channel.name = "train";
    channel.entries = {{Piece{"", Source{{"bkt", "k"}, bytes_.size(), "", folder_ / "object"}}}};
    plan_.channels = {channel};
  }
  void TearDown() override {
    stop(plan_.state);
    static_cast<void>(remove_tree(folder_));
  }

  Fd open_reader(uint64_t epoch) const {
    return open_file(plan_.folder / fmt::format("train_{}", epoch), O_RDONLY).value();
  }

  // build/<preset>/src/pipe/pipe_test
  fs::path program_ = fs::read_symlink("/proc/self/exe").parent_path() / "../../trainyard";
  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  std::string bytes_ = random_bytes(3 << 20);
  PipePlan plan_{{}, {}, folder_ / "data", folder_ / "state", ::geteuid(), {}};
};

TEST_F(PipeTest, runs_until_it_is_stopped) {
  EXPECT_FALSE(find(plan_.state));
  auto process = start(program_, plan_);
  ASSERT_TRUE(process) << process.error().message;
  ASSERT_TRUE(find(plan_.state));
  EXPECT_EQ(find(plan_.state)->pid, process->pid);
  EXPECT_TRUE(fs::exists(plan_.state / "feed.ready"));
  EXPECT_FALSE(fs::exists(plan_.state / "feed.plan"));  // it holds credentials
  for (uint64_t epoch : {0, 1}) {
    auto all = read_file(plan_.folder / fmt::format("train_{}", epoch));
    ASSERT_TRUE(all);
    EXPECT_TRUE(*all == bytes_);
  }
  EXPECT_FALSE(first_error(plan_.state));
  stop(plan_.state);
  EXPECT_FALSE(find(plan_.state));
  EXPECT_FALSE(is_alive(*process));
  EXPECT_TRUE(fs::is_empty(plan_.folder));
}

TEST_F(PipeTest, ends_while_it_is_in_a_write) {
  ASSERT_TRUE(start(program_, plan_));
  Fd reader = open_reader(0);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  stop(plan_.state);
  EXPECT_FALSE(find(plan_.state));
}

TEST_F(PipeTest, is_gone_for_the_agent_when_it_is_killed) {
  auto process = start(program_, plan_);
  ASSERT_TRUE(process) << process.error().message;
  Fd reader = open_reader(0);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  send_signal(*process, SIGKILL);
  ::waitpid(process->pid, nullptr, 0);
  EXPECT_FALSE(find(plan_.state));
  std::string rest(bytes_.size(), '\0');
  size_t got = 0;
  for (ssize_t count = 1; count > 0; got += static_cast<size_t>(count)) {
    count = ::read(reader.get(), rest.data() + got, rest.size() - got);
    ASSERT_GE(count, 0);
  }
  EXPECT_LT(got, bytes_.size() - 1);  // the end of data, too early: hence find()
  // A later one takes its place.
  ASSERT_TRUE(start(program_, plan_));
  EXPECT_TRUE(read_file(plan_.folder / "train_0").value() == bytes_);
}

TEST_F(PipeTest, tells_of_an_error_and_keeps_the_reader) {
  plan_.channels[0].entries[0][0].object->size += 1;
  ASSERT_TRUE(start(program_, plan_));
  Fd reader = open_reader(0);
  while (!first_error(plan_.state)) ::poll(nullptr, 0, 1);
  EXPECT_TRUE(first_error(plan_.state)->starts_with("channel 'train', epoch 0: s3://bkt/k at byte"))
      << *first_error(plan_.state);
  pollfd ended{reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0);
  EXPECT_TRUE(find(plan_.state));
}

TEST_F(PipeTest, says_why_it_does_not_start) {
  ASSERT_TRUE(remove_tree(plan_.folder));
  auto process = start(program_, plan_);
  ASSERT_FALSE(process);
  EXPECT_NE(process.error().message.find("No such file or directory"), std::string::npos)
      << process.error().message;
  EXPECT_FALSE(find(plan_.state));
  EXPECT_FALSE(fs::exists(plan_.state / "feed.plan"));
  EXPECT_FALSE(start(folder_ / "no-program", plan_));
}

TEST_F(PipeTest, is_read_by_an_unprivileged_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  constexpr uid_t kNobody = 65534;
  plan_.user_id = kNobody;
  ASSERT_TRUE(start(program_, plan_));
  struct stat info {};
  ASSERT_EQ(::stat((plan_.folder / "train_0").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kNobody);
  pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(2);
    auto all = read_file(plan_.folder / "train_0");
    ::_exit(all && *all == bytes_ ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace trainyard::pipe
