// SPDX-License-Identifier: Apache-2.0
#include "transfer/part_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>

#include "base/random.hpp"
#include "transfer/memory.hpp"

namespace trainyard::transfer {

namespace {

// On the checkout's disk: /tmp may be a tmpfs.
class PartFileTest : public testing::Test {
 protected:
  PartFileTest() : folder_(fs::current_path() / ("part-file-" + random_hex(6))) {
    EXPECT_TRUE(make_directories(folder_));
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<char>(i / 512 + i);
  }
  ~PartFileTest() override { EXPECT_TRUE(remove_tree(folder_)); }

  // As fetches do: up to a multiple of the buffer each, from its beginning.
  void write(PartFile& part, size_t begin, size_t end) {
    ASSERT_LE(end - begin, kBuffer);
    std::memcpy(buffer_.get(), bytes_.data() + begin, end - begin);
    auto written = part.write({buffer_.get(), end - begin}, begin);
    ASSERT_TRUE(written) << written.error().message;
  }
  void write_all_of_it(PartFile& part) {
    write(part, 0, kBuffer);
    write(part, kBuffer, kBuffer + 1000);  // an answer that broke off
    write(part, kBuffer + 1000, 2 * kBuffer);
    write(part, 2 * kBuffer, bytes_.size());
  }

  static constexpr size_t kBuffer = 64 << 10;
  fs::path folder_;
  std::string bytes_ = std::string(2 * kBuffer + 3 * kBlockBytes + 77, '\0');
  Buffer buffer_ = make_buffer(kBuffer);
  Origin origin_{"s3://b/k|etag", bytes_.size(), true};
};

}  // namespace

TEST_F(PartFileTest, holds_the_same_bytes_whichever_way_they_are_written) {
  for (Way way : {Way::buffered, Way::direct}) {
    auto part = PartFile::open(folder_ / "target", origin_, way);
    ASSERT_TRUE(part) << part.error().message;
    write_all_of_it(*part);
    std::string read(bytes_.size(), '\0');
    ASSERT_EQ(part->read(read, 0).value(), bytes_.size());
    EXPECT_TRUE(read == bytes_);
    ASSERT_TRUE(part->commit());
    EXPECT_TRUE(read_file(folder_ / "target").value() == bytes_);
  }
}

TEST_F(PartFileTest, that_was_written_the_one_way_is_gone_on_from_the_other) {
  for (Way first : {Way::buffered, Way::direct}) {
    {
      auto part = PartFile::open(folder_ / "target", origin_, first);
      ASSERT_TRUE(part);
      write(*part, 0, kBuffer);
      write(*part, kBuffer, kBuffer + 5000);
    }
    Way second = first == Way::direct ? Way::buffered : Way::direct;
    auto part = PartFile::open(folder_ / "target", origin_, second);
    ASSERT_TRUE(part);
    EXPECT_EQ(part->kept(), kBuffer + 5000);
    write(*part, kBuffer + 5000, 2 * kBuffer);
    write(*part, 2 * kBuffer, bytes_.size());
    ASSERT_TRUE(part->commit());
    EXPECT_TRUE(read_file(folder_ / "target").value() == bytes_);
  }
}

// Refused for want of descriptors, as it is by a file system that has no direct writes.
TEST_F(PartFileTest, is_buffered_where_direct_writes_are_refused) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  Fd next = open_file("/dev/null", O_RDONLY).value();
  rlimit one_more{static_cast<rlim_t>(next.get()) + 1, before.rlim_max};
  next.reset();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &one_more), 0);
  auto part = PartFile::open(folder_ / "target", origin_, Way::direct);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(part) << part.error().message;
  write_all_of_it(*part);
  ASSERT_TRUE(part->commit());
  EXPECT_TRUE(read_file(folder_ / "target").value() == bytes_);
}

}  // namespace trainyard::transfer
