// SPDX-License-Identifier: Apache-2.0
#include "objects/scrub.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/object_store.hpp"

namespace trainyard::objects {

class ScrubTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    store_ = ObjectStore::open(folder_, clock_).value();
    ASSERT_TRUE(store_->create_bucket("bkt"));
  }
  void TearDown() override {
    store_.reset();
    static_cast<void>(remove_tree(folder_));
  }

  void put(const std::string& key, const std::string& text,
           std::optional<ChecksumAlgorithm> algorithm = {}) {
    http::TextBody body(text);
    PutOptions options;
    options.claims.algorithm = algorithm;
    ASSERT_TRUE(store_->put("bkt", key, body, options));
  }
  // Of two parts; the ETags of the parts.
  std::vector<PartChoice> put_parts(const std::string& key, const std::string& id) {
    std::vector<PartChoice> choices;
    for (int number : {1, 2}) {
      http::TextBody body(std::string(5 << 20, static_cast<char>('0' + number)));
      choices.push_back({number, store_->put_part("bkt", key, id, number, body, {}).value().etag});
    }
    return choices;
  }
  fs::path file_of(const std::string& key) {
    auto open = store_->open_object("bkt", key);
    return fs::read_symlink(fmt::format("/proc/self/fd/{}", open->file->get()));
  }
  void flip_bit(const fs::path& file, off_t offset) {
    ::chmod(file.c_str(), 0600);
    Fd fd = open_file(file, O_RDWR).value();
    char byte = 0;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, offset), 1);
    byte = static_cast<char>(byte ^ 4);
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, offset), 1);
    ASSERT_EQ(::fsync(fd.get()), 0);
  }
  ScrubReport run() {
    damages_.clear();
    bytes_ = 0;
    ScrubEvents events;
    events.on_bytes = [&](uint64_t bytes) { bytes_ += bytes; };
    events.on_damage = [&](const Damage& damage) {
      damages_[fmt::format("{}/{}", damage.bucket, damage.key)] = damage.what;
    };
    auto report = scrub(folder_, events);
    EXPECT_TRUE(report);
    return report.value_or(ScrubReport{});
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  std::unique_ptr<ObjectStore> store_;
  std::map<std::string, std::string> damages_;
  uint64_t bytes_ = 0;
};

TEST_F(ScrubTest, what_is_whole_is_not_damaged) {
  for (int i = 0; i < 2500; ++i) put(fmt::format("{}", i), fmt::format("text {}", i));
  put("empty", "");
  put("large", std::string(5'000'001, 'x'));
  for (auto algorithm : kChecksumAlgorithms) put(std::string(api_name(algorithm)), "x", algorithm);
  ScrubReport report = run();
  EXPECT_EQ(report.objects, 2507U);
  EXPECT_EQ(report.damaged, 0U);
  EXPECT_EQ(report.without_checksum, 0U);
  EXPECT_EQ(report.stray_files, 0U);
  EXPECT_EQ(report.bytes, bytes_);
}

TEST_F(ScrubTest, damage_is_found_and_named) {
  put("rotten", std::string(3'000'000, 'x'));
  put("cut", std::string(10'000, 'x'));
  put("gone", "x");
  put("fine", "x");
  put("sha", "text", ChecksumAlgorithm::sha256);
  flip_bit(file_of("rotten"), 2'999'999);
  flip_bit(file_of("sha"), 0);
  fs::path cut = file_of("cut");
  ::chmod(cut.c_str(), 0600);
  ASSERT_EQ(::truncate(cut.c_str(), 9'999), 0);
  ASSERT_EQ(::unlink(file_of("gone").c_str()), 0);
  ASSERT_TRUE(write_file_atomically(folder_ / "objects/stray", "12345"));
  ScrubReport report = run();
  EXPECT_EQ(report.damaged, 4U);
  EXPECT_NE(damages_["bkt/rotten"].find("the CRC64NVME of them is"), std::string::npos);
  EXPECT_NE(damages_["bkt/sha"].find("SHA256"), std::string::npos);
  EXPECT_EQ(damages_["bkt/cut"], "has 9999 bytes instead of 10000");
  EXPECT_EQ(damages_["bkt/gone"], "has no file");
  EXPECT_EQ(report.stray_files, 1U);
  EXPECT_EQ(report.stray_bytes, 5U);
}

TEST_F(ScrubTest, parts_and_what_was_made_of_them_are_read) {
  UploadOptions options;
  options.algorithm = ChecksumAlgorithm::crc32;
  for (const char* key : {"complete", "open"}) {
    std::string id = store_->begin_upload("bkt", key, options).value().id;
    Completion completion;
    completion.parts = put_parts(key, id);
    if (key == std::string("open")) continue;
    ASSERT_TRUE(store_->complete_upload("bkt", key, id, completion));
  }
  ScrubReport report = run();
  EXPECT_EQ(report.objects, 3U);
  EXPECT_EQ(report.damaged, 0U);
  EXPECT_EQ(report.without_checksum, 0U);  // composite, but the store knows the whole's, too
  flip_bit(file_of("complete"), 9'000'000);
  EXPECT_EQ(run().damaged, 1U);
  EXPECT_NE(damages_["bkt/complete"].find("CRC32"), std::string::npos);

  auto buckets = usage(folder_);
  ASSERT_TRUE(buckets);
  EXPECT_EQ(buckets->at(0).objects, 1U);
  EXPECT_EQ(buckets->at(0).bytes, 10U << 20);
  EXPECT_EQ(buckets->at(0).unfinished_bytes, 10U << 20);
}

TEST_F(ScrubTest, a_store_that_is_written_meanwhile_is_not_damaged) {
  for (int i = 0; i < 200; ++i) put(fmt::format("{}", i), "before");
  std::jthread writer([&](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      put(fmt::format("{}", i % 200), fmt::format("{}", i));
      if (i % 3 == 0) static_cast<void>(store_->remove("bkt", fmt::format("{}", (i * 7) % 200)));
    }
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run().damaged, 0U) << (damages_.empty() ? "" : damages_.begin()->second);
  }
}

TEST_F(ScrubTest, no_store_is_an_error_that_names_it) {
  auto report = scrub("/nowhere", {});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message.find("/nowhere/objects.db"), std::string::npos);
  EXPECT_NE(report.error().message.find("--data-dir"), std::string::npos);
}

}  // namespace trainyard::objects
