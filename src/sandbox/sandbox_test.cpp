// SPDX-License-Identifier: Apache-2.0
#include "sandbox/sandbox.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/random.hpp"
#include "base/subprocess.hpp"

namespace trainyard::sandbox {

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto can = probe(); !can) GTEST_SKIP() << can.error().message;
    for (const char* name : {"ml", "tmp", "home"}) {
      ASSERT_TRUE(make_directories(folder_ / name));
      ASSERT_EQ(::chmod((folder_ / name).c_str(), 0777), 0);
    }
    ASSERT_TRUE(write_file_atomically(folder_ / "secret", "of others"));
    walls_.host_name = "algo-1";
    walls_.ml_dir = folder_ / "ml";
    walls_.temporary_dir = folder_ / "tmp";
    walls_.home_dir = folder_ / "home";
    walls_.user_id = user_id_for("job");
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  // Output and exit code of a shell script inside.
  std::string inside(std::string script) {
    Command command;
    command.arguments = wrap(walls_, {"sh", "-c", std::move(script)}, "/");
    auto ended = run(command);
    return ended ? fmt::format("{}[{}]", ended->output, ended->exit_code) : ended.error().message;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  Walls walls_;
};

TEST_F(SandboxTest, exit_codes_and_signals_come_through) {
  EXPECT_EQ(inside("echo hi; exit 7"), "hi\n[7]");
  EXPECT_EQ(inside("kill -9 $$"), "[137]");
}

TEST_F(SandboxTest, the_host_name_is_the_instances_and_processes_are_its_own) {
  EXPECT_EQ(inside("cat /proc/sys/kernel/hostname; ls -d /proc/[0-9]* | wc -l | grep -qx '[2-5]'"),
            "algo-1\n[0]");
}

TEST_F(SandboxTest, only_ml_tmp_and_home_can_be_written) {
  EXPECT_EQ(inside("echo x > /opt/ml/a && echo x > /tmp/b && echo x > /home/job/c && echo ok"),
            "ok\n[0]");
  EXPECT_TRUE(fs::exists(folder_ / "ml/a"));
  for (std::string path : {"/usr/x", "/etc/x", "/x", "/opt/x", "/home/x"}) {
    EXPECT_NE(inside("echo x > " + path + " 2>/dev/null"), "[0]") << path;
  }
}

TEST_F(SandboxTest, folders_of_others_are_not_there) {
  EXPECT_EQ(inside("cat " + (folder_ / "secret").string() + " 2>/dev/null"), "[1]");
  EXPECT_EQ(inside("ls /root 2>/dev/null || echo none"), "none\n[0]");
  EXPECT_EQ(inside("ls /home"), "job\n[0]");
  EXPECT_EQ(inside("cat /etc/shadow 2>/dev/null || echo none"), "none\n[0]");
}

TEST_F(SandboxTest, a_shown_folder_can_be_reached_by_the_jobs_user) {
  fs::path shown = folder_ / "deep" / "shown";
  ASSERT_TRUE(make_directories(shown));
  ASSERT_TRUE(write_file_atomically(shown / "file", "seen\n"));
  ::chmod((folder_ / "deep").c_str(), 0700);
  walls_.read_only = {shown};
  EXPECT_EQ(inside("cat " + (shown / "file").string()), "seen\n[0]");
}

TEST_F(SandboxTest, an_isolated_job_has_no_network) {
  walls_.has_network = false;
  EXPECT_EQ(inside("tail -n +3 /proc/net/dev | grep -vc ' *lo:'"), "0\n[1]");
}

}  // namespace trainyard::sandbox
