// SPDX-License-Identifier: Apache-2.0
#include "sandbox/overlay.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.hpp"
#include "base/random.hpp"
#include "sandbox/sandbox.hpp"
#include "sandbox/supervise.hpp"

namespace trainyard::sandbox {

// A script of a job's user that sees lower/ and upper/ as one folder, run by a supervisor.
class OverlayTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"lower/deep", "upper", "work", "shown"}) {
      ASSERT_TRUE(make_directories(folder_ / name));
    }
    ASSERT_TRUE(write_file_atomically(folder_ / "lower/a", "original a"));
    ASSERT_TRUE(write_file_atomically(folder_ / "lower/deep/b", "original b"));
    if (auto can = probe_overlay(folder_, user_); !can) GTEST_SKIP() << can.error().message;
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chown((folder_ / "upper").c_str(), user_, user_), 0);
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  // What the script printed, and how it ended.
  std::string run_as_job(const std::string& script) {
    std::string user = std::to_string(::geteuid() == 0 ? user_ : ::geteuid());
    std::vector<std::string> command = {"sh", "-c", "cd shown && " + script};
    if (::geteuid() == 0) {
      command.insert(command.begin(),
                     {"setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"});
    }
    return supervised(command);
  }

  std::string supervised(const std::vector<std::string>& command) {
    auto path = [&](const char* name) { return (folder_ / name).string(); };
    json::object overlay{{"lower", path("lower")},
                         {"upper", path("upper")},
                         {"work", path("work")},
                         {"shown", path("shown")},
                         {"owner", user_}};
    json::object plan{{"command", json::to_array(command)},
                      {"variables", json::array{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}},
                      {"working_dir", folder_.string()},
                      {"log", path("log")},
                      {"pid_file", path("pid")},
                      {"exit_file", path("exit")},
                      {"reserve", path("reserve")},
                      {"overlays", json::array{overlay}}};
    EXPECT_TRUE(write_file_atomically(folder_ / "plan", json::serialize(plan)));
    static_cast<void>(remove_tree(folder_ / "log"));
    pid_t child = ::fork();
    if (child == 0) ::_exit(supervise(folder_ / "plan"));
    ::waitpid(child, nullptr, 0);
    auto record = read_exit(folder_ / "exit");
    std::string output = read_file(folder_ / "log").value_or("");
    return fmt::format("{}[{}]", output, record ? record->exit_code : -1);
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  uint32_t user_ = user_id_for("overlay");
};

TEST_F(OverlayTest, what_a_job_writes_stays_beside_the_originals) {
  EXPECT_EQ(run_as_job("echo more >> a && cat a && chmod +x deep/b && mv deep/b c && rm a && "
                       "mkdir -p deep/new && echo x > deep/new/d && ls"),
            "original amore\nc\ndeep\n[0]");
  EXPECT_EQ(read_file(folder_ / "lower/a").value_or(""), "original a");
  EXPECT_EQ(read_file(folder_ / "lower/deep/b").value_or(""), "original b");
  EXPECT_EQ(fs::status(folder_ / "lower/deep/b").permissions() & fs::perms::owner_exec,
            fs::perms::none);
}

TEST_F(OverlayTest, a_second_run_finds_what_the_first_one_wrote) {
  EXPECT_EQ(run_as_job("echo one > new"), "[0]");
  EXPECT_EQ(run_as_job("cat new a"), "one\noriginal a[0]");
}

TEST_F(OverlayTest, the_files_are_the_jobs_own) {
  EXPECT_EQ(run_as_job("test -O a && test -w a && test -w . && test -w deep && echo own"),
            "own\n[0]");
}

TEST_F(OverlayTest, root_cannot_write_through_either) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be root";
  EXPECT_EQ(
      supervised({"sh", "-c", "echo root > shown/a; echo root > lower/a; echo end"}).substr(0, 3),
      "sh:");
  EXPECT_EQ(read_file(folder_ / "lower/a").value_or(""), "original a");
}

TEST_F(OverlayTest, nothing_is_mounted_afterwards) {
  EXPECT_EQ(run_as_job("true"), "[0]");
  EXPECT_TRUE(fs::is_empty(folder_ / "shown"));
}

}  // namespace trainyard::sandbox
