// SPDX-License-Identifier: Apache-2.0
#include "transfer/archive.hpp"

#include <fcntl.h>
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
    ASSERT_TRUE(pack(folder_ / "in", [&](std::string_view piece) { return append(piece); }));
  }
  // To a.tar.gz.
  Result<> append(std::string_view piece) {
    if (!output_) {
      output_ = TRY(open_file(folder_ / "a.tar.gz", O_WRONLY | O_CREAT | O_APPEND));
    }
    return write_all(output_.get(), piece);
  }
  std::string unpack_error(const char* file) {
    auto unpacked = unpack(folder_ / file, folder_ / "out");
    return unpacked ? "ok" : unpacked.error().message;
  }

  Fd output_;
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

// Names, kinds, modes, times and contents of all members, by Python's tarfile; prints nothing where
// they are those of the folder in/.
constexpr const char* kCompareByPython = R"(python3 - <<'END'
import hashlib, os, stat, tarfile

def digest(file):
    md5 = hashlib.md5()
    while piece := file.read(1 << 20): md5.update(piece)
    return md5.digest()

os.chdir('in')
seen = set()
with tarfile.open('../a.tar.gz') as archive:
    for member in archive:
        info = os.lstat(member.name)
        assert member.mtime == int(info.st_mtime), member
        if member.issym():
            assert os.readlink(member.name) == member.linkname, member
        elif member.islnk():
            assert os.path.samefile(member.linkname, member.name), member
        elif member.isdir():
            assert stat.S_ISDIR(info.st_mode), member
        else:
            assert member.isreg() and member.size == info.st_size, member
            with open(member.name, 'rb') as file:
                assert digest(archive.extractfile(member)) == digest(file), member
        assert member.issym() or member.mode == info.st_mode & 0o1777, member
        seen.add(member.name)
there = {os.path.relpath(os.path.join(folder, name)) for folder, folders, names in os.walk('.')
         for name in folders + names}
assert there == seen, there ^ seen
END
)";

constexpr const char* kCompareByTar =
    "gzip -t a.tar.gz && mkdir x && tar --warning=none -xzf a.tar.gz -C x && "
    "diff -r --no-dereference in x";

TEST_F(ArchiveTest, names_that_ustar_cannot_say_are_kept) {
  sh("cd in; long=$(printf 'x%.0s' $(seq 250)); mkdir -p $long/$long/ü; cd $long/$long; "
     "echo 1 > ü/é; ln -s $long/$long/$long l; echo 2 > a; ln a ü/$long; "
     "touch -d 1960-01-01 old; touch -d 2500-01-01 far; printf x > \"new\nline\"; "
     "touch $(printf 'y%.0s' $(seq 99)) $(printf 'z%.0s' $(seq 100)) $(printf 'w%.0s' $(seq 101)); "
     "chmod 4751 a; chmod 1777 ü; printf x > $(printf '\\377\\376')");
  pack_input();
  EXPECT_EQ(sh(kCompareByTar), "");
  EXPECT_EQ(sh("chmod 751 in/*/*/a"), "");
  EXPECT_EQ(sh(kCompareByPython), "");
  EXPECT_EQ(unpack_error("a.tar.gz"), "ok");
  EXPECT_EQ(sh("diff -r --no-dereference in out"), "");
}

TEST_F(ArchiveTest, contents_of_all_sizes_and_kinds_are_kept) {
  // Around the blocks of tar and gzip; text, noise, zeros, and all of them mixed in one file.
  sh("cd in; for n in 0 1 511 512 513 1048575 1048576 1048577 3145728 9000001; do "
     "yes \"$n lines of text\" | head -c $n > text$n; head -c $n /dev/urandom > noise$n; "
     "truncate -s $n hole$n; cat text$n noise$n hole$n noise$n > mixed$n; done; "
     "truncate -s 60M sparse; for at in 0 7 8 33; do "
     "dd if=noise9000001 of=sparse bs=999999 count=1 seek=$at conv=notrunc status=none; done; "
     "ln sparse same; ln sparse again; mkdir sub; ln sparse sub/same; cp mixed513 sub");
  pack_input();
  EXPECT_EQ(sh(kCompareByTar), "");
  EXPECT_EQ(sh("stat -c %h x/sparse"), "4\n");
  EXPECT_EQ(sh(kCompareByPython), "");
  EXPECT_EQ(unpack_error("a.tar.gz"), "ok");
  EXPECT_EQ(sh("diff -r in out"), "");
}

TEST_F(ArchiveTest, a_huge_sparse_file_is_packed_without_reading_its_holes) {
  sh("cd in; truncate -s 9000000000 big; printf end >> big");
  pack_input();
  EXPECT_LT(fs::file_size(folder_ / "a.tar.gz"), 100'000'000U);
  EXPECT_EQ(
      sh("gzip -dc a.tar.gz | head -c 2048 | tar tv 2>/dev/null | tr -s ' ' | cut -d' ' -f3,6"),
      "9000000003 big\n");
}

TEST_F(ArchiveTest, many_small_files_are_all_there) {
  sh("cd in; for d in $(seq 20); do mkdir $d; cd $d; seq 500 | split -l 1 -a 4 -; cd ..; done");
  pack_input();
  EXPECT_EQ(sh("tar tzf a.tar.gz | wc -l"), "10020\n");
  EXPECT_EQ(sh(kCompareByTar), "");
}

TEST_F(ArchiveTest, files_that_change_meanwhile_keep_the_archive_readable) {
  sh("cd in; for n in $(seq 10 49); do head -c 2000000 /dev/urandom > f$n; done");
  bool is_changed = false;
  ASSERT_TRUE(pack(folder_ / "in", [&](std::string_view piece) -> Result<> {
    // By now the first files have been read, and none of the last.
    if (!std::exchange(is_changed, true)) {
      sh("cd in; truncate -s 1000 f1*; rm f3*; mkfifo f35; echo more | tee -a f4* > f2; "
         "mkdir f31; ln -s /etc/passwd f32");
    }
    return append(piece);
  }));
  EXPECT_EQ(sh("gzip -t a.tar.gz && tar tzf a.tar.gz | tr '\n' ' ' | grep -o 'f29.*'"),
            "f29 f31/ f32 f40 f41 f42 f43 f44 f45 f46 f47 f48 f49 \n");
  EXPECT_EQ(unpack_error("a.tar.gz"), "ok");
}

TEST_F(ArchiveTest, errors_of_reading_and_writing_name_their_place) {
  sh("cd in; head -c 50000000 /dev/urandom > a; mkdir d");
  auto full = pack(folder_ / "in",
                   [](std::string_view) -> Result<> { return fail(Code::exhausted, "full"); });
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().message, "full");
  auto missing = pack(folder_ / "none", [](std::string_view) { return Result<>(); });
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/none"), std::string::npos);
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
