// SPDX-License-Identifier: Apache-2.0
#include "transfer/archive.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

class ArchiveTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_ / "in"));
    ASSERT_TRUE(make_directories(folder_ / "out"));
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  std::string sh(std::string script) {
    Command command;
    command.arguments = {"sh", "-c", std::move(script)};
    command.working_dir = folder_;
    auto ended = run(command);
    return ended ? ended->output : ended.error().message;
  }
  void pack_input() {
    std::string bytes;
    ASSERT_TRUE(pack(folder_ / "in", [&](std::string_view piece) -> Result<> {
      bytes += piece;
      return {};
    }));
    ASSERT_TRUE(write_file_atomically(folder_ / "a.tar.gz", bytes));
  }
  std::string unpack_error(const char* file) {
    auto unpacked = unpack(folder_ / file, folder_ / "out");
    return unpacked ? "ok" : unpacked.error().message;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
};

TEST_F(ArchiveTest, tar_reads_what_we_pack) {
  sh("cd in; echo hello > a; mkdir -p 1/variables; head -c 3000000 /dev/urandom > 1/variables/v; "
     "ln -s a link; mkfifo pipe; mkdir empty; "
     "touch $(printf 'n%.0s' $(seq 200)); echo x > 'ü b'");
  pack_input();
  EXPECT_EQ(
      sh("gzip -t a.tar.gz && mkdir x && tar xzf a.tar.gz -C x && rm in/pipe && diff -r in x"), "");
  EXPECT_EQ(sh("tar tzf a.tar.gz | head -3"), "1/\n1/variables/\n1/variables/v\n");
}

TEST_F(ArchiveTest, an_empty_folder_is_a_valid_archive) {
  pack_input();
  EXPECT_EQ(sh("tar tzf a.tar.gz && echo ok"), "ok\n");
}

TEST_F(ArchiveTest, we_read_what_tar_packs) {
  sh("cd in; echo hello > a; mkdir d; echo x > d/b; ln a d/hard; ln -s ../a d/link; chmod 755 a; "
     "tar czf ../t.tar.gz . ; tar cf ../t.tar a");
  EXPECT_EQ(unpack_error("t.tar.gz"), "ok");
  EXPECT_EQ(sh("diff -r in out; stat -c %a out/a"), "755\n");
  EXPECT_EQ(unpack_error("t.tar"), "ok");
}

TEST_F(ArchiveTest, members_that_would_leave_the_folder_are_refused) {
  sh("echo x > evil; cd in; tar --absolute-names -czf ../absolute.tgz /etc/hostname; "
     "tar -P -czf ../dots.tgz ../evil; mkfifo f; tar czf ../fifo.tgz f; "
     "ln -s /tmp link; tar cf ../link.tar link; rm link; mkdir link; echo x > link/through; "
     "tar rf ../link.tar link/through; gzip -k ../link.tar");
  EXPECT_NE(unpack_error("absolute.tgz").find("absolute name"), std::string::npos);
  EXPECT_NE(unpack_error("dots.tgz").find("leaves"), std::string::npos);
  EXPECT_NE(unpack_error("fifo.tgz").find("pipe"), std::string::npos);
  // A link that a later member goes through makes way for a folder.
  EXPECT_EQ(unpack_error("link.tar.gz"), "ok");
  EXPECT_FALSE(fs::exists("/tmp/through"));
  EXPECT_TRUE(fs::is_directory(fs::symlink_status(folder_ / "out/link")));
}

TEST_F(ArchiveTest, what_is_no_archive_is_invalid) {
  sh("head -c 100000 /dev/urandom > noise; echo '<html>' > page; "
     "head -c 100000 /dev/urandom > in/a; tar czf t.tgz in; head -c 50000 t.tgz > cut.tgz");
  for (const char* file : {"noise", "page", "cut.tgz"}) {
    auto unpacked = unpack(folder_ / file, folder_ / "out");
    ASSERT_FALSE(unpacked) << file;
    EXPECT_EQ(unpacked.error().code, Code::invalid) << file;
  }
}

TEST_F(ArchiveTest, a_failure_that_libarchive_has_no_words_for_is_invalid) {
  ASSERT_TRUE(write_file_atomically(folder_ / "bad",
                                    *from_hex("1f8b08010f0596319d27939ceeb900010000000000000f")));
  EXPECT_EQ(unpack(folder_ / "bad", folder_ / "out").error().code, Code::invalid);
}

}  // namespace trainyard::transfer
