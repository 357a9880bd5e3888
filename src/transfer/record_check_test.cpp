// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_check.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>

#include "base/random.hpp"
#include "transfer/record_verdict.hpp"
#include "transfer/record_watch.hpp"

namespace trainyard::transfer {

namespace {

const std::string kRecords = framed_record("first") + framed_record("second");

class RecordCheckTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(folder_)); }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  // Written long ago: a verdict on what was written just now is not kept.
  fs::path put(const std::string& name, std::string_view bytes, time_t time = 1'000'000'000) {
    fs::path file = folder_ / name;
    EXPECT_TRUE(write_file_atomically(file, bytes));
    set_time(file, time);
    return file;
  }

  static void set_time(const fs::path& file, time_t time) {
    std::array<timespec, 2> times = {timespec{time, 5}, timespec{time, 5}};
    ::utimensat(AT_FDCWD, file.c_str(), times.data(), 0);
  }

  static std::string attribute(const fs::path& file) {
    std::array<char, 4096> text{};
    ssize_t size = ::getxattr(file.c_str(), "user.trainyard.records", text.data(), text.size());
    return size < 0 ? "" : std::string(text.data(), static_cast<size_t>(size));
  }

  static void set_attribute(const fs::path& file, std::string_view text) {
    ::setxattr(file.c_str(), "user.trainyard.records", text.data(), text.size(), 0);
  }

  bool has_attributes() {
    fs::path file = put("probe", "");
    set_attribute(file, "x");
    return attribute(file) == "x";
  }

  // Beside the build: /tmp may have no attributes.
  fs::path folder_ = fs::current_path() / ("record-check-" + random_hex(8));
};

TEST_F(RecordCheckTest, a_verdict_is_kept_with_the_file) {
  if (!has_attributes()) GTEST_SKIP() << "no attributes here";
  std::string bytes = kRecords;
  bytes.back() ^= 1;
  fs::path file = put("a.tfrecord", bytes);
  EXPECT_FALSE(remembered_verdict(file));
  auto verdict = verdict_of(file);
  ASSERT_TRUE(verdict);
  auto kept = remembered_verdict(file);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->records, 1);
  EXPECT_EQ(kept->payload_bytes, 5);
  EXPECT_EQ(kept->broken_records, 1);
  EXPECT_EQ(kept->first_broken->index, 1);
  EXPECT_EQ(kept->first_broken->offset, 21);
  EXPECT_EQ(kept->first_broken->what, verdict->first_broken->what);
}

TEST_F(RecordCheckTest, a_kept_verdict_is_of_that_very_file) {
  if (!has_attributes()) GTEST_SKIP() << "no attributes here";
  fs::path file = put("a", kRecords);
  ASSERT_TRUE(verdict_of(file));
  ASSERT_TRUE(remembered_verdict(file));
  fs::path copy = put("copy", kRecords);  // same size and time, another inode
  set_attribute(copy, attribute(file));
  EXPECT_FALSE(remembered_verdict(copy));
  set_time(file, 1'000'000'001);
  EXPECT_FALSE(remembered_verdict(file));
  set_time(file, 1'000'000'000);
  EXPECT_TRUE(remembered_verdict(file));
  fs::resize_file(file, 21);
  set_time(file, 1'000'000'000);
  EXPECT_FALSE(remembered_verdict(file));
  EXPECT_EQ(verdict_of(file)->records, 1);
}

TEST_F(RecordCheckTest, an_attribute_that_makes_no_sense_is_none) {
  if (!has_attributes()) GTEST_SKIP() << "no attributes here";
  fs::path file = put("a", kRecords);
  for (const std::string& text : {std::string("{}"), std::string("[]"), std::string(5000, '['),
                                  std::string(R"({"v":1,"size":"x"})"), std::string("\xff\0", 2)}) {
    set_attribute(file, text);
    EXPECT_EQ(verdict_of(file)->records, 2) << text;
  }
}

TEST_F(RecordCheckTest, what_was_written_just_now_is_not_kept) {
  fs::path file = put("a", kRecords, 4'000'000'000);
  EXPECT_EQ(verdict_of(file)->records, 2);
  EXPECT_FALSE(remembered_verdict(file));
  if (!has_attributes()) GTEST_SKIP() << "no attributes here";
  // But by the one who wrote it, and knows that it is whole.
  remember_verdict(file, *scan_file(file));
  EXPECT_TRUE(remembered_verdict(file));
}

TEST_F(RecordCheckTest, a_download_leaves_its_verdict_with_the_file) {
  if (!has_attributes()) GTEST_SKIP() << "no attributes here";
  std::string broken = kRecords;
  broken.back() ^= 1;
  RecordWatch watch;
  Fetch fetch{{"bucket", "a"}, broken.size(), "", folder_ / "a"};
  Fetch other{{"bucket", "b"}, 0, "", put("b", "no records at all")};
  watch.observe(fetch)->add("an attempt that comes to nothing");
  auto observer = watch.observe(fetch);
  for (char c : broken) observer->add({&c, 1});
  observer->done();
  watch.observe(other)->done();
  ASSERT_TRUE(write_file_atomically(fetch.path, broken));  // as the download does
  watch.keep(fetch);
  watch.keep(other);
  EXPECT_EQ(remembered_verdict(fetch.path)->first_broken->index, 1);
  EXPECT_FALSE(remembered_verdict(other.path));
  std::vector<NamedFile> files = {{fetch.path, "a"}, {other.path, "b"}};
  auto checked = check_files(files, 0, 1);
  EXPECT_EQ(checked.broken.size(), 1);
  EXPECT_TRUE(checked.left.empty());
}

TEST_F(RecordCheckTest, all_kinds_of_files_are_told_apart) {
  std::string broken = kRecords;
  broken[12] ^= 1;
  std::vector<NamedFile> files = {{put("good", kRecords), "good.tfrecord"},
                                  {put("bad", broken), "bad"},
                                  {put("csv", "a,b,c\n1,2,3\n4,5,6"), "x.csv"},
                                  {put("liar", "a,b,c\n1,2,3\n4,5,6"), "x.tfrecord"},
                                  {put("empty", ""), "empty.tfrecord"},
                                  {folder_ / "absent", "absent"},
                                  {folder_, "folder"}};
  auto checked = check_files(files, 1 << 20, 3);
  EXPECT_EQ(checked.tfrecord_files, 2);
  EXPECT_EQ(checked.records, 3);
  ASSERT_EQ(checked.broken.size(), 1);
  EXPECT_EQ(broken_text(checked.broken[0]),
            "bad: record 0, at byte 0: its data do not match their checksum");
  ASSERT_EQ(checked.misnamed.size(), 1);
  EXPECT_EQ(checked.misnamed[0].name, "x.tfrecord");
  ASSERT_EQ(checked.unreadable.size(), 2);
  EXPECT_TRUE(checked.left.empty());
}

TEST_F(RecordCheckTest, what_is_beyond_the_budget_is_left_and_can_be_done_later) {
  std::string large;
  while (large.size() < 300'000) large += framed_record(std::string(1000, 'x'));
  std::vector<NamedFile> files;
  for (int i = 0; i < 6; ++i) {
    std::string name = "f" + std::to_string(i);
    files.push_back({put(name, large), name});
  }
  files.push_back({put("other", std::string(1 << 20, 'o')), "other"});  // one read, no budget
  auto first = check_files(files, 2 * large.size(), 1);
  EXPECT_EQ(first.scanned_bytes, 2 * large.size());
  ASSERT_EQ(first.left.size(), 4);
  EXPECT_EQ(first.left[0].name, "f2");
  auto rest = check_files(first.left, ~uint64_t{0}, 2);
  EXPECT_TRUE(rest.left.empty());
  EXPECT_EQ(rest.tfrecord_files, 4);
  if (!has_attributes()) return;
  auto again = check_files(files, 0, 4);  // all are known by now
  EXPECT_TRUE(again.left.empty());
  EXPECT_EQ(again.scanned_bytes, 0);
  EXPECT_EQ(again.tfrecord_files, 6);
}

TEST_F(RecordCheckTest, after_a_stop_all_is_left) {
  std::stop_source stop;
  stop.request_stop();
  std::vector<NamedFile> files = {{put("a", kRecords), "a"}, {put("b", kRecords), "b"}};
  EXPECT_EQ(check_files(files, 1 << 20, 2, stop.get_token()).left.size(), 2);
}

}  // namespace

}  // namespace trainyard::transfer
