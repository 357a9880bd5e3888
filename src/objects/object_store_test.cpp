// SPDX-License-Identifier: Apache-2.0
#include "objects/object_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::objects {

class ObjectStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(store_->create_bucket("bkt"));
  }
  void TearDown() override {
    store_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  void open(uint64_t quota_bytes = 0) {
    store_.reset();
    ASSERT_TRUE(make_directories(folder_));
    store_ = ObjectStore::open(folder_, clock_, quota_bytes).value();
  }

  // "ok" or the code of the refusal.
  std::string put(const std::string& key, std::string text, PutOptions options = {}) {
    http::TextBody body(std::move(text));
    auto stored = store_->put("bkt", key, body, options);
    return stored ? "ok" : stored.error().code;
  }
  std::string get(const std::string& key) {
    auto found = store_->open_object("bkt", key);
    if (!found) return found.error().code;
    std::string text(found->object.size, '\0');
    EXPECT_EQ(read_at(found->file->get(), text, 0).value(), text.size());
    return text;
  }
  std::string list(ListQuery query) {
    auto listing = store_->list("bkt", query);
    if (!listing) return listing.error().code;
    std::string text;
    for (const Object& object : listing->objects) text += object.key + " ";
    for (const std::string& prefix : listing->common_prefixes) text += "[" + prefix + "] ";
    return text + (listing->is_truncated ? "more after " + listing->last : "");
  }
  size_t files() {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "objects")) {
      count += entry.is_regular_file();
    }
    return count;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  std::unique_ptr<ObjectStore> store_;
};

// A body that breaks off.
class BrokenBody : public http::Body {
 public:
  Result<size_t> read(std::span<char> buffer) override {
    if (std::exchange(is_broken_, true)) return fail(Code::invalid, "the client left");
    buffer[0] = 'x';
    return 1;
  }
  std::optional<uint64_t> length() const override { return 1000; }

 private:
  bool is_broken_ = false;
};

TEST_F(ObjectStoreTest, what_is_put_is_got_also_after_a_restart) {
  EXPECT_EQ(put("k", "hello"), "ok");
  EXPECT_EQ(put("empty", ""), "ok");
  open();
  EXPECT_EQ(get("k"), "hello");
  EXPECT_EQ(get("empty"), "");
  EXPECT_EQ(get("none"), "NoSuchKey");
  EXPECT_EQ(store_->head("bkt", "k")->etag, "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(store_->open_object("none", "k").error().code, "NoSuchBucket");
}

TEST_F(ObjectStoreTest, files_are_for_all_to_read_older_ones_too) {
  put("key", "bytes");
  auto mode = [&] {
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "objects")) {
      if (entry.is_regular_file()) return static_cast<unsigned>(entry.status().permissions());
    }
    return 0U;
  };
  EXPECT_EQ(mode(), 0644U);
  EXPECT_EQ(fs::status(folder_ / "objects").permissions(), fs::perms::owner_all);
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "objects")) {
    if (entry.is_regular_file()) fs::permissions(entry.path(), fs::perms(0600));
  }
  open();
  while (mode() != 0644U) std::this_thread::yield();
  EXPECT_EQ(get("key"), "bytes");
}

TEST_F(ObjectStoreTest, no_key_names_a_file_outside) {
  for (std::string key :
       {"../../etc/passwd", "/abs", "a//b", "a/", ".", "..", "\xc3\xa9/\xf0\x9f", "objects.db"}) {
    std::string expected = key.find("\xf0\x9f") != std::string::npos ? "InvalidArgument" : "ok";
    EXPECT_EQ(put(key, "<" + key + ">"), expected) << key;
    if (expected == "ok") {
      EXPECT_EQ(get(key), "<" + key + ">");
    }
  }
  EXPECT_EQ(put(std::string(1024, 'k'), "x"), "ok");
  EXPECT_EQ(put(std::string(1025, 'k'), "x"), "KeyTooLongError");
}

TEST_F(ObjectStoreTest, a_broken_body_leaves_the_old_object_and_no_file) {
  EXPECT_EQ(put("k", "old"), "ok");
  BrokenBody body;
  EXPECT_EQ(store_->put("bkt", "k", body, {}).error().message, "the client left");
  EXPECT_EQ(get("k"), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(ObjectStoreTest, an_open_object_outlives_its_replacement) {
  EXPECT_EQ(put("k", "old"), "ok");
  auto open = store_->open_object("bkt", "k");
  EXPECT_EQ(put("k", "new"), "ok");
  EXPECT_TRUE(store_->remove("bkt", "k"));
  std::string text(3, '\0');
  EXPECT_EQ(read_at(open->file->get(), text, 0).value(), 3u);
  EXPECT_EQ(text, "old");
  EXPECT_EQ(files(), 0u);
}

TEST_F(ObjectStoreTest, checksums_are_checked) {
  PutOptions options;
  options.claims = {ChecksumAlgorithm::crc32, "NhCmhg==", std::nullopt};
  EXPECT_EQ(put("k", "hello", options), "ok");
  EXPECT_EQ(store_->head("bkt", "k")->checksum->value, "NhCmhg==");
  EXPECT_EQ(put("k", "hellO", options), "BadDigest");
  options.claims.checksum = "rubbish";
  EXPECT_EQ(put("k", "hello", options), "InvalidRequest");
  options.claims = {std::nullopt, std::nullopt, "XUFAKrxLKna5cZ2REBfFkg=="};
  EXPECT_EQ(put("k", "hello", options), "ok");
  EXPECT_EQ(put("k", "hellO", options), "BadDigest");
  EXPECT_EQ(get("k"), "hello");
}

TEST_F(ObjectStoreTest, conditional_writes) {
  PutOptions absent;
  absent.condition.if_absent = true;
  EXPECT_EQ(put("k", "one", absent), "ok");
  EXPECT_EQ(put("k", "two", absent), "PreconditionFailed");
  PutOptions match;
  match.condition.if_match = store_->head("bkt", "k")->etag;
  EXPECT_EQ(put("k", "three", match), "ok");
  EXPECT_EQ(put("k", "four", match), "PreconditionFailed");
  EXPECT_EQ(put("none", "five", match), "NoSuchKey");
  EXPECT_EQ(get("k"), "three");
}

TEST_F(ObjectStoreTest, listings_page_through_keys_and_common_prefixes) {
  for (std::string key : {"a", "b/1", "b/2", "b/c/3", "b0", "c/", "d"})
    EXPECT_EQ(put(key, "x"), "ok");
  EXPECT_EQ(list({"", "", "", 1000}), "a b/1 b/2 b/c/3 b0 c/ d ");
  EXPECT_EQ(list({"", "/", "", 1000}), "a b0 d [b/] [c/] ");
  EXPECT_EQ(list({"b/", "/", "", 1000}), "b/1 b/2 [b/c/] ");
  EXPECT_EQ(list({"b", "", "", 2}), "b/1 b/2 more after b/2");
  EXPECT_EQ(list({"b", "", "b/2", 2}), "b/c/3 b0 ");
  EXPECT_EQ(list({"", "/", "", 2}), "a [b/] more after b/");
  EXPECT_EQ(list({"", "/", "b/", 2}), "b0 [c/] more after c/");
  EXPECT_EQ(list({"", "/", "c/", 2}), "d ");
  EXPECT_EQ(list({"z", "/", "", 2}), "");
  EXPECT_EQ(list({"", "", "", 0}), "");
}

TEST_F(ObjectStoreTest, a_multipart_upload_appears_when_it_is_complete) {
  auto upload = store_->begin_upload("bkt", "big", {{{"content-type", "x/y"}}, "", {}, true});
  ASSERT_TRUE(upload);
  std::vector<PartChoice> parts;
  std::string whole;
  for (int number : {1, 2, 7}) {
    std::string bytes(number == 7 ? 3 : 5 << 20, static_cast<char>('a' + number));
    http::TextBody body(bytes);
    auto part = store_->put_part("bkt", "big", upload->id, number, body, {});
    ASSERT_TRUE(part);
    parts.push_back({number, part->etag});
    whole += bytes;
  }
  EXPECT_EQ(get("big"), "NoSuchKey");
  EXPECT_EQ(store_->uploads("bkt", "")->size(), 1u);
  auto object = store_->complete_upload("bkt", "big", upload->id, {parts, {}, {}});
  ASSERT_TRUE(object);
  EXPECT_TRUE(get("big") == whole);
  EXPECT_TRUE(object->etag.ends_with("-3"));
  EXPECT_EQ(object->headers["content-type"], "x/y");
  auto crc = make_digest(ChecksumAlgorithm::crc64nvme);
  crc->add(whole);
  EXPECT_EQ(object->checksum->value, to_base64(crc->finish()));
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(store_->parts("bkt", "big", upload->id).error().code, "NoSuchUpload");
}

TEST_F(ObjectStoreTest, parts_with_a_checksum_may_have_an_opaque_etag) {
  std::string id = store_->begin_upload("bkt", "key", {}).value().id;
  Claims claims;
  claims.is_etag_opaque = true;
  auto send = [&](int number, std::string text) {
    http::TextBody body(std::move(text));
    auto stored = store_->put_part("bkt", "key", id, number, body, claims);
    return stored ? stored->etag : stored.error().code;
  };
  std::string md5 = "9dd4e461268c8034f5c8564e155c67a6";  // of "x"
  EXPECT_EQ(send(1, "x"), md5);  // without a checksum the MD5 is all there is
  auto digest = make_digest(ChecksumAlgorithm::crc64nvme);
  digest->add("x");
  claims.algorithm = ChecksumAlgorithm::crc64nvme;
  claims.checksum = to_base64(digest->finish());
  std::string opaque = send(1, "x");
  EXPECT_EQ(opaque.size(), md5.size());
  EXPECT_NE(opaque, md5);
  EXPECT_EQ(send(2, "y"), "BadDigest");
  claims.md5 = to_base64(std::string(16, 'x'));
  EXPECT_EQ(send(1, "x"), "BadDigest");
  Completion completion;
  completion.parts = {{1, opaque}};
  auto object = store_->complete_upload("bkt", "key", id, completion);
  ASSERT_TRUE(object);
  EXPECT_EQ(object->checksum->value, *claims.checksum);
  EXPECT_EQ(get("key"), "x");
}

TEST_F(ObjectStoreTest, wrong_completions_are_refused_and_an_abort_leaves_nothing) {
  auto upload = store_->begin_upload("bkt", "k", {});
  std::vector<PartChoice> parts;
  for (int number : {1, 2}) {
    http::TextBody body("small");
    parts.push_back({number, store_->put_part("bkt", "k", upload->id, number, body, {})->etag});
  }
  auto complete = [&](std::vector<PartChoice> choice) {
    return store_->complete_upload("bkt", "k", upload->id, {std::move(choice), {}, {}})
        .error()
        .code;
  };
  EXPECT_EQ(complete(parts), "EntityTooSmall");
  EXPECT_EQ(complete({parts[1], parts[0]}), "InvalidPartOrder");
  EXPECT_EQ(complete({{1, "other"}}), "InvalidPart");
  EXPECT_EQ(complete({}), "MalformedXML");
  http::TextBody body("x");
  EXPECT_EQ(store_->put_part("bkt", "k", upload->id, 0, body, {}).error().code, "InvalidArgument");
  EXPECT_TRUE(store_->abort_upload("bkt", "k", upload->id));
  EXPECT_EQ(store_->abort_upload("bkt", "k", upload->id).error().code, "NoSuchUpload");
  EXPECT_EQ(files(), 0u);
}

TEST_F(ObjectStoreTest, buckets_have_names_and_must_be_empty_to_go) {
  EXPECT_EQ(store_->create_bucket("bkt").error().code, "BucketAlreadyOwnedByYou");
  for (std::string name : {"", "ab", "Upper", "a..b", "-ab", "a/b", "../x"}) {
    EXPECT_EQ(store_->create_bucket(name).error().code, "InvalidBucketName") << name;
  }
  EXPECT_EQ(put("k", "x"), "ok");
  EXPECT_EQ(store_->remove_bucket("bkt").error().code, "BucketNotEmpty");
  EXPECT_TRUE(store_->remove("bkt", "k"));
  EXPECT_TRUE(store_->begin_upload("bkt", "k", {}));
  EXPECT_TRUE(store_->remove_bucket("bkt"));
  EXPECT_EQ(store_->remove_bucket("bkt").error().code, "NoSuchBucket");
}

TEST_F(ObjectStoreTest, a_quota_counts_objects_and_parts_and_what_is_removed) {
  put("before", std::string(100, 'x'));
  open(1000);
  EXPECT_EQ(put("a", std::string(900, 'x')), "ok");
  EXPECT_EQ(put("b", "x"), "QuotaExceeded");
  EXPECT_EQ(get("b"), "NoSuchKey");
  EXPECT_EQ(put("b", ""), "ok");
  ASSERT_TRUE(store_->remove("bkt", "before"));
  EXPECT_EQ(put("c", std::string(50, 'x')), "ok");
  // A replacement needs room for both for a moment, and gives the old one's back.
  EXPECT_EQ(put("a", std::string(51, 'x')), "QuotaExceeded");
  EXPECT_EQ(put("a", std::string(50, 'x')), "ok");
  EXPECT_EQ(put("d", std::string(900, 'x')), "ok");
  EXPECT_EQ(put("e", "x"), "QuotaExceeded");
  EXPECT_EQ(files(), 4U);
  open(1000);  // counts what is there
  EXPECT_EQ(put("e", "x"), "QuotaExceeded");
}

TEST_F(ObjectStoreTest, a_quota_holds_for_uploads_in_parts) {
  constexpr size_t kPart = 5 << 20;
  open(3 * kPart);
  auto part = [&](const std::string& id, int number, size_t size) {
    http::TextBody body(std::string(size, 'x'));
    auto stored = store_->put_part("bkt", "key", id, number, body, {});
    return stored ? stored->etag : stored.error().code;
  };
  std::string first = store_->begin_upload("bkt", "key", {}).value().id;
  Completion completion;
  for (int number : {1, 2, 3}) completion.parts.push_back({number, part(first, number, kPart)});
  EXPECT_EQ(part(first, 4, 1), "QuotaExceeded");
  // Joined it needs no more than its parts did.
  ASSERT_TRUE(store_->complete_upload("bkt", "key", first, completion));
  EXPECT_EQ(put("other", "x"), "QuotaExceeded");
  ASSERT_TRUE(store_->remove("bkt", "key"));
  std::string second = store_->begin_upload("bkt", "key", {}).value().id;
  part(second, 1, 3 * kPart);
  EXPECT_EQ(put("other", "x"), "QuotaExceeded");
  ASSERT_TRUE(store_->abort_upload("bkt", "key", second));
  EXPECT_EQ(put("other", "x"), "ok");
}

TEST_F(ObjectStoreTest, many_writers_at_once_each_get_their_own_answer) {
  constexpr int kThreads = 16;
  constexpr int kRounds = 40;
  std::atomic<int> won = 0;
  std::atomic<int> lost = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        PutOptions if_absent;
        if_absent.condition.if_absent = true;
        for (int i = 0; i < kRounds; ++i) {
          std::string code = put(fmt::format("once/{}", i), fmt::format("{}", thread), if_absent);
          ++(code == "ok" ? won : lost);
          EXPECT_EQ(put(fmt::format("own/{}/{}", thread, i), fmt::format("{}", i)), "ok");
          EXPECT_EQ(put("all", fmt::format("{}", thread)), "ok");
          EXPECT_EQ(get(fmt::format("own/{}/{}", thread, i)), fmt::format("{}", i));
          EXPECT_NE(get("all"), "InternalError");
          if (i % 2 == 0) {
            EXPECT_TRUE(store_->remove("bkt", fmt::format("own/{}/{}", thread, i)));
          }
        }
      });
    }
  }
  EXPECT_EQ(won, kRounds);
  EXPECT_EQ(lost, kRounds * (kThreads - 1));
  EXPECT_EQ(files(), static_cast<size_t>(kRounds + 1 + kThreads * kRounds / 2));
}

}  // namespace trainyard::objects
