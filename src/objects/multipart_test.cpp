// SPDX-License-Identifier: Apache-2.0
// Uploads in parts whose parts share a file, and those that cannot.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <semaphore>
#include <thread>

#include "base/random.hpp"
#include "base/text.hpp"
#include "db/statement.hpp"
#include "objects/object_store.hpp"
#include "objects/part_slots.hpp"
#include "objects/schema.hpp"
#include "objects/scrub.hpp"

namespace trainyard::objects {

namespace {

constexpr size_t kPart = 5 << 20;

// Different in each byte's neighbourhood, so that a part in the wrong place shows.
std::string bytes_of(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (size_t i = 0; i + 4 <= size; i += 4) {
    uint32_t word = random();
    std::memcpy(bytes.data() + i, &word, 4);
  }
  return bytes;
}

// A client that sends half of the body and the rest when it is told to, or leaves.
class PausedBody : public http::Body {
 public:
  explicit PausedBody(std::string text) : text_(std::move(text)) {}

  Result<size_t> read(std::span<char> buffer) override {
    size_t half = text_.size() / 2;
    if (position_ == half && half > 0) {
      is_half_here.release();
      may_go_on.acquire();
      if (will_leave) return fail(Code::invalid, "the client left");
    }
    size_t end = position_ < half ? half : text_.size();
    size_t count = std::min(buffer.size(), end - position_);
    std::copy_n(text_.data() + position_, count, buffer.data());
    position_ += count;
    return count;
  }
  std::optional<uint64_t> length() const override { return text_.size(); }

  std::binary_semaphore is_half_here{0};
  std::binary_semaphore may_go_on{0};
  bool will_leave = false;

 private:
  std::string text_;
  size_t position_ = 0;
};

// Of a chunked request without its length.
class EndlessBody : public http::TextBody {
 public:
  using http::TextBody::TextBody;
  std::optional<uint64_t> length() const override { return std::nullopt; }
};

}  // namespace

class MultipartTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(store_->create_bucket("bkt"));
  }
  void TearDown() override {
    store_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  // Again: all that is known in memory only is gone then.
  void open(uint64_t quota_bytes = 0) {
    store_.reset();
    ASSERT_TRUE(make_directories(folder_));
    store_ = ObjectStore::open(folder_, clock_, quota_bytes).value();
  }

  std::string begin() { return store_->begin_upload("bkt", "key", {}).value().id; }
  // The part's ETag or the code of the refusal.
  std::string send(const std::string& id, int number, http::Body& body,
                   PartFile file = PartFile::any) {
    auto part = store_->put_part("bkt", "key", id, number, body, {}, file);
    return part ? part->etag : part.error().code;
  }
  std::string send(const std::string& id, int number, const std::string& bytes,
                   PartFile file = PartFile::any) {
    http::TextBody body(bytes);
    return send(id, number, body, file);
  }
  // "in place", "copied" or the code of the refusal.
  std::string complete(const std::string& id, std::vector<PartChoice> parts,
                       WriteCondition condition = {}) {
    auto before = files();
    auto object = store_->complete_upload("bkt", "key", id, {std::move(parts), {}, condition});
    if (!object) return object.error().code;
    auto name = store_->file_of(*object).filename().string();
    EXPECT_EQ(store_->head("bkt", "key")->file, name);
    return std::count(before.begin(), before.end(), name) > 0 ? "in place" : "copied";
  }
  std::string get() {
    auto found = store_->open_object("bkt", "key");
    if (!found) return found.error().code;
    struct stat info {};
    EXPECT_EQ(::fstat(found->file->get(), &info), 0);
    EXPECT_EQ(static_cast<uint64_t>(info.st_size), found->object.size);
    std::string text(found->object.size, '\0');
    EXPECT_EQ(read_at(found->file->get(), text, 0).value(), text.size());
    return text;
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "objects")) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename());
    }
    return names;
  }
  uint64_t damaged() {
    ScrubEvents events;
    events.on_damage = [&](const Damage& damage) {
      damages_ += fmt::format("{} part {} {}\n", damage.key, damage.part, damage.what);
    };
    return scrub(folder_, events).value().damaged;
  }
  // Whether exactly so many bytes have room in the store.
  void expect_room(size_t bytes) {
    auto put = [&](size_t size) {
      http::TextBody body(std::string(size, 'x'));
      auto stored = store_->put("bkt", "filler", body, {});
      return stored ? "ok" : stored.error().code;
    };
    EXPECT_EQ(put(bytes + 1), "QuotaExceeded");
    EXPECT_EQ(put(bytes), "ok");
    ASSERT_TRUE(store_->remove("bkt", "filler"));
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  std::unique_ptr<ObjectStore> store_;
  std::string damages_;
};

TEST_F(MultipartTest, parts_of_one_size_become_the_object_where_they_are_in_any_order) {
  std::vector<int> order{1, 2, 3};
  do {
    std::string id = begin();
    std::map<int, std::string> bytes{
        {1, bytes_of(kPart, 1)}, {2, bytes_of(kPart, 2)}, {3, bytes_of(1001, 3)}};
    std::map<int, std::string> etags;
    for (int number : order) etags[number] = send(id, number, bytes[number]);
    EXPECT_EQ(complete(id, {{1, etags[1]}, {2, etags[2]}, {3, etags[3]}}), "in place");
    EXPECT_TRUE(get() == bytes[1] + bytes[2] + bytes[3]);
    EXPECT_EQ(files().size(), 1U);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(damaged(), 0U);
}

TEST_F(MultipartTest, parts_that_come_at_the_same_time_become_the_object_where_they_are) {
  constexpr int kParts = 16;
  std::string id = begin();
  std::vector<PartChoice> parts(kParts);
  std::string whole;
  for (int i = 0; i < kParts; ++i) whole += bytes_of(kPart, static_cast<uint32_t>(i));
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = thread; i < kParts; i += 8) {
          auto at = static_cast<size_t>(i);
          parts[at] = {i + 1, send(id, i + 1, whole.substr(at * kPart, kPart))};
        }
      });
    }
  }
  EXPECT_EQ(complete(id, parts), "in place");
  EXPECT_TRUE(get() == whole);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(MultipartTest, a_single_part_of_any_size_stays_where_it_is) {
  for (size_t size : {size_t{0}, size_t{1}, kPart, kPart + 1}) {
    std::string id = begin();
    std::string bytes = bytes_of(size, 1);
    std::string etag = send(id, 1, bytes);
    EXPECT_EQ(complete(id, {{1, etag}}), size > 0 ? "in place" : "copied") << size;
    EXPECT_TRUE(get() == bytes);
    EXPECT_EQ(files().size(), 1U);
  }
}

TEST_F(MultipartTest, parts_of_other_sizes_are_copied) {
  struct Case {
    std::vector<size_t> sizes;
    const char* how;
  };
  for (const Case& one : std::vector<Case>{{{kPart, kPart + 1, kPart}, "copied"},
                                           {{kPart + 1, kPart, kPart + 1}, "copied"},
                                           {{kPart, kPart, kPart + 1}, "copied"},
                                           {{kPart + 1, kPart + 1, kPart}, "in place"},
                                           {{kPart, kPart, 0}, "in place"}}) {
    std::string id = begin();
    std::vector<PartChoice> parts;
    std::string whole;
    for (size_t size : one.sizes) {
      int number = static_cast<int>(parts.size()) + 1;
      std::string bytes = bytes_of(size, static_cast<uint32_t>(number));
      parts.push_back({number, send(id, number, bytes)});
      whole += bytes;
    }
    EXPECT_EQ(damaged(), 0U) << damages_;  // also where a stride is no multiple of a page
    EXPECT_EQ(complete(id, parts), one.how) << testing::PrintToString(one.sizes);
    EXPECT_TRUE(get() == whole);
    EXPECT_EQ(files().size(), 1U);
  }
  EXPECT_EQ(damaged(), 0U) << damages_;
}

TEST_F(MultipartTest, a_part_that_is_sent_again_counts_with_its_last_bytes) {
  std::string id = begin();
  std::string first = bytes_of(kPart, 1);
  std::string again = bytes_of(kPart, 10);
  std::string last = bytes_of(99, 2);
  std::string old_etag = send(id, 1, first);
  std::string last_etag = send(id, 2, last);
  std::string etag = send(id, 1, again);
  EXPECT_EQ(files().size(), 2U);
  EXPECT_EQ(complete(id, {{1, old_etag}, {2, last_etag}}), "InvalidPart");
  EXPECT_EQ(complete(id, {{1, etag}, {2, last_etag}}), "in place");
  EXPECT_TRUE(get() == again + last);
  EXPECT_EQ(send(id, 1, first), "NoSuchUpload");
  EXPECT_EQ(send(id, 3, first), "NoSuchUpload");
  EXPECT_TRUE(get() == again + last);
  EXPECT_EQ(files().size(), 1U);
  EXPECT_EQ(damaged(), 0U);
}

TEST_F(MultipartTest, a_part_of_its_own_file_moves_to_its_slot) {
  std::string id = begin();
  std::string first = bytes_of(kPart, 1);
  std::string second = bytes_of(kPart, 2);
  std::string third = bytes_of(kPart, 3);
  EndlessBody without_length(first);
  std::vector<PartChoice> parts{{1, send(id, 1, without_length)}};
  parts.push_back({2, send(id, 2, second)});
  parts.push_back({3, send(id, 3, third, PartFile::own)});
  EXPECT_EQ(files().size(), 3U);
  EXPECT_EQ(complete(id, parts), "in place");
  EXPECT_TRUE(get() == first + second + third);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(MultipartTest, some_of_the_parts_are_copied) {
  std::string a = bytes_of(kPart, 1);
  std::string b = bytes_of(kPart, 2);
  std::string c = bytes_of(kPart, 3);
  for (bool has_gap : {false, true}) {
    std::string id = begin();
    PartChoice first{1, send(id, 1, a)};
    PartChoice second{2, send(id, 2, b)};
    PartChoice third{3, send(id, 3, c)};
    EXPECT_EQ(complete(id, {first, has_gap ? third : second}), "copied");
    EXPECT_TRUE(get() == a + (has_gap ? c : b));
    EXPECT_EQ(files().size(), 1U);
  }
}

TEST_F(MultipartTest, an_upload_whose_completion_was_refused_goes_on) {
  std::string id = begin();
  std::string a = bytes_of(kPart, 1);
  std::string b = bytes_of(kPart, 2);
  std::string c = bytes_of(kPart, 3);
  PartChoice first{1, send(id, 1, a)};
  PartChoice second{2, send(id, 2, b)};
  WriteCondition other;
  other.if_match = "other";
  EXPECT_EQ(complete(id, {first, second}, other), "NoSuchKey");
  EXPECT_EQ(damaged(), 0U);
  PartChoice third{3, send(id, 3, c)};  // slots are closed
  PartChoice again{1, send(id, 1, c)};
  EXPECT_EQ(complete(id, {again, second, third}), "in place");
  EXPECT_TRUE(get() == c + b + c);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(MultipartTest, a_part_whose_client_left_is_sent_again) {
  std::string id = begin();
  std::string a = bytes_of(kPart, 1);
  std::string b = bytes_of(kPart, 2);
  PartChoice first{1, send(id, 1, a)};
  PausedBody broken(bytes_of(kPart, 9));
  broken.will_leave = true;
  broken.may_go_on.release();
  EXPECT_EQ(send(id, 2, broken), "InvalidRequest");
  EXPECT_EQ(store_->parts("bkt", "key", id)->size(), 1U);
  PartChoice second{2, send(id, 2, b)};
  EXPECT_EQ(complete(id, {first, second}), "in place");
  EXPECT_TRUE(get() == a + b);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(MultipartTest, nobody_writes_to_an_object_who_wrote_to_its_parts) {
  for (int number : {1, 2, 3}) {
    std::string id = begin();
    std::map<int, std::string> bytes;
    std::vector<PartChoice> parts;
    for (int other : {1, 2, 3}) bytes[other] = bytes_of(kPart, static_cast<uint32_t>(other));
    PausedBody late(bytes_of(kPart, 9));
    std::string late_answer;
    std::jthread writer([&] { late_answer = send(id, number, late); });
    late.is_half_here.acquire();
    // Those parts whose slot the writer has not; its own goes elsewhere.
    for (int other : {1, 2, 3}) parts.push_back({other, send(id, other, bytes[other])});
    EXPECT_EQ(complete(id, parts), "copied");
    EXPECT_TRUE(get() == bytes[1] + bytes[2] + bytes[3]);
    late.may_go_on.release();
    writer.join();
    EXPECT_EQ(late_answer, "NoSuchUpload");
    EXPECT_TRUE(get() == bytes[1] + bytes[2] + bytes[3]);
    EXPECT_EQ(files().size(), 1U);
  }
}

TEST_F(MultipartTest, an_abortion_takes_the_file_from_those_who_write) {
  for (bool is_first : {true, false}) {
    std::string id = begin();
    if (!is_first) send(id, 1, bytes_of(kPart, 1));
    PausedBody late(bytes_of(kPart, 9));
    std::string late_answer;
    std::jthread writer([&] { late_answer = send(id, 2, late); });
    late.is_half_here.acquire();
    EXPECT_TRUE(store_->abort_upload("bkt", "key", id));
    EXPECT_EQ(files().size(), 0U);
    late.may_go_on.release();
    writer.join();
    EXPECT_EQ(late_answer, "NoSuchUpload");
    EXPECT_EQ(files().size(), 0U);
  }
}

TEST_F(MultipartTest, a_bucket_takes_its_uploads_with_it) {
  ASSERT_TRUE(store_->create_bucket("other"));
  std::string id = store_->begin_upload("other", "key", {}).value().id;
  for (int number : {1, 2}) {
    http::TextBody body(std::string(kPart, 'x'));
    ASSERT_TRUE(store_->put_part("other", "key", id, number, body, {}));
  }
  std::string empty = store_->begin_upload("other", "key", {}).value().id;
  PausedBody broken(std::string(kPart, 'x'));
  broken.will_leave = true;
  broken.may_go_on.release();
  ASSERT_FALSE(store_->put_part("other", "key", empty, 1, broken, {}));
  EXPECT_EQ(files().size(), 2U);
  ASSERT_TRUE(store_->remove_bucket("other"));
  EXPECT_EQ(files().size(), 0U);
}

TEST_F(MultipartTest, an_upload_goes_on_after_a_restart) {
  for (int restart_after : {0, 1, 2, 3}) {
    std::string id = begin();
    std::vector<PartChoice> parts;
    std::string whole;
    for (int number : {1, 2, 3}) {
      if (restart_after == number - 1) open();
      std::string bytes = bytes_of(number == 3 ? 17 : kPart, static_cast<uint32_t>(number));
      parts.push_back({number, send(id, number, bytes)});
      whole += bytes;
    }
    if (restart_after == 3) open();
    EXPECT_EQ(damaged(), 0U) << damages_;
    EXPECT_EQ(complete(id, parts), restart_after == 0 ? "copied" : "in place");
    EXPECT_TRUE(get() == whole);
    EXPECT_EQ(files().size(), 1U);
    open();
    EXPECT_TRUE(get() == whole);
  }
  EXPECT_EQ(damaged(), 0U) << damages_;
}

TEST_F(MultipartTest, of_several_completions_one_is_done) {
  std::string a = bytes_of(kPart, 1);
  std::string b = bytes_of(kPart, 2);
  for (int round = 0; round < 10; ++round) {
    std::string id = begin();
    PartChoice first{1, send(id, 1, a)};
    PartChoice second{2, send(id, 2, b, round % 2 == 0 ? PartFile::own : PartFile::any)};
    if (round % 3 == 0) open();
    std::atomic<int> done = 0;
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
          std::vector<PartChoice> parts{first};
          if (thread % 2 == 0) parts.push_back(second);
          done += store_->complete_upload("bkt", "key", id, {parts, {}, {}}).has_value() ? 1 : 0;
        });
      }
    }
    EXPECT_EQ(done, 1);
    std::string found = get();
    EXPECT_TRUE(found == a || found == a + b);
    EXPECT_EQ(files().size(), 1U);
    EXPECT_EQ(damaged(), 0U) << damages_;
  }
}

TEST_F(MultipartTest, the_quota_counts_parts_that_share_a_file) {
  open(4 * kPart);
  std::string id = begin();
  PartChoice first{1, send(id, 1, bytes_of(kPart, 1))};
  PartChoice second{2, send(id, 2, bytes_of(100, 2))};
  expect_room(3 * kPart - 100);
  second = {2, send(id, 2, bytes_of(kPart, 3))};  // in place of the one before
  expect_room(2 * kPart);
  PausedBody broken(bytes_of(kPart, 9));
  broken.will_leave = true;
  broken.may_go_on.release();
  send(id, 3, broken);
  expect_room(2 * kPart);
  EXPECT_EQ(complete(id, {first, second}), "in place");
  expect_room(2 * kPart);
  id = begin();
  send(id, 2, bytes_of(kPart, 2));
  send(id, 1, bytes_of(kPart, 1));
  EXPECT_EQ(send(id, 3, "x"), "QuotaExceeded");
  ASSERT_TRUE(store_->abort_upload("bkt", "key", id));
  expect_room(2 * kPart);
  open(4 * kPart);
  expect_room(2 * kPart);
  ASSERT_TRUE(store_->remove("bkt", "key"));
  expect_room(4 * kPart);
}

TEST_F(MultipartTest, damage_of_a_part_in_a_shared_file_is_named) {
  std::string id = begin();
  for (int number : {1, 2, 3}) send(id, number, bytes_of(kPart + 1, 7));
  EXPECT_EQ(damaged(), 0U) << damages_;
  fs::path file = folder_ / "objects" / files()[0].substr(0, 2) / files()[0];
  Fd fd = open_file(file, O_RDWR).value();
  ASSERT_EQ(::pwrite(fd.get(), "????", 4, 2 * (kPart + 1) - 4), 4);
  EXPECT_EQ(damaged(), 1U);
  EXPECT_NE(damages_.find("key part 2 has other bytes"), std::string::npos) << damages_;
  ASSERT_EQ(::ftruncate(fd.get(), 2 * (kPart + 1) + 5), 0);
  EXPECT_EQ(damaged(), 2U);
  EXPECT_NE(damages_.find("key part 3 cannot be read at byte 5: it ends there"), std::string::npos)
      << damages_;
  auto buckets = usage(folder_).value();
  EXPECT_EQ(buckets.at(0).unfinished_bytes, 3 * (kPart + 1));
}

TEST_F(MultipartTest, parts_of_an_older_store_are_joined) {
  store_.reset();
  ASSERT_TRUE(remove_tree(folder_));
  ASSERT_TRUE(make_directories(folder_ / "objects/ab"));
  {
    auto database = db::Database::open(folder_ / "objects.db", db::Durability::power_loss,
                                       std::span(kMigrations).first(1))
                        .value();
    ASSERT_TRUE(database.execute(
        "INSERT INTO bucket VALUES ('bkt', 1); "
        "INSERT INTO upload VALUES ('old', 'bkt', CAST('key' AS BLOB), 1, '{}', '', NULL, 1); "
        "INSERT INTO part VALUES ('old', 1, 'abcd', 5, '5d41402abc4b2a76b9719d911017c592', 1, "
        "NULL)"));
  }
  ASSERT_TRUE(write_file_atomically(folder_ / "objects/ab/abcd", "hello"));
  open();
  EXPECT_EQ(complete("old", {{1, "5d41402abc4b2a76b9719d911017c592"}}), "copied");
  EXPECT_EQ(get(), "hello");
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(MultipartTest, whatever_is_sent_in_whatever_way_the_last_bytes_of_each_part_count) {
  std::mt19937 random(4711);
  auto below = [&](uint32_t limit) { return random() % limit; };
  bool has_restarted = false;  // what nobody needs any more goes only at the next start then
  for (int round = 0; round < 18; ++round) {
    std::string id = begin();
    size_t usual = kPart + (below(2) == 0 ? 0 : below(5000));
    int count = 1 + static_cast<int>(below(4));
    std::map<int, std::pair<std::string, std::string>> sent;  // bytes, ETag
    for (int i = 0; i < count * 2 || sent.size() < static_cast<size_t>(count); ++i) {
      if (round >= 10 && below(8) == 0) {
        open();
        has_restarted = true;
      }
      int number = 1 + static_cast<int>(below(static_cast<uint32_t>(count)));
      if (i >= count * 2) number = static_cast<int>(sent.size()) + 1;  // a gap, maybe: sent below
      while (i >= count * 2 && sent.count(number) > 0) --number;
      size_t size = number == count ? below(static_cast<uint32_t>(usual)) : usual;
      if (below(20) == 0) size = kPart + below(3000);
      std::string bytes = bytes_of(size, random());
      auto file = below(4) == 0 ? PartFile::own : PartFile::any;
      std::string etag = send(id, number, bytes, file);
      sent[number] = {std::move(bytes), std::move(etag)};
    }
    std::vector<PartChoice> parts;
    std::string whole;
    for (const auto& [number, part] : sent) {
      parts.push_back({number, part.second});
      whole += part.first;
    }
    std::string how = complete(id, parts);
    EXPECT_TRUE(how == "in place" || how == "copied") << how;
    EXPECT_TRUE(get() == whole) << "round " << round;
    EXPECT_TRUE(files().size() == 1 || has_restarted);
  }
  EXPECT_EQ(damaged(), 0U) << damages_;
}

TEST_F(MultipartTest, slots_are_for_a_bounded_number_of_uploads) {
  PartSlots slots(folder_ / "objects", 2);
  slots.open("a");
  auto writer = slots.take("a", 1, 10);
  ASSERT_TRUE(writer);
  slots.open("b");
  slots.open("c");  // in place of b, which nobody writes to
  EXPECT_FALSE(slots.take("b", 1, 10));
  EXPECT_FALSE(slots.close("a"));
  EXPECT_TRUE(slots.take("c", 1, 10));
  EXPECT_FALSE(slots.take("c", 1, 10));  // once
  EXPECT_FALSE(slots.take("c", 2, 11));  // no room
  EXPECT_TRUE(slots.take("c", 10'000, 10));
  writer.reset();
  auto closing = slots.close("a");
  EXPECT_TRUE(closing);
  EXPECT_FALSE(slots.close("a"));
  EXPECT_FALSE(slots.take("a", 2, 10));
  closing.reset();
  EXPECT_TRUE(slots.close("a"));
  slots.open("d");
  EXPECT_FALSE(slots.take("d", 2, 10));                 // tells no stride
  EXPECT_FALSE(slots.take("d", 1, uint64_t{6} << 40));  // larger than any object
  EXPECT_TRUE(slots.take("d", 1, uint64_t{5} << 30));
  EXPECT_TRUE(slots.take("d", 1024, uint64_t{5} << 30));  // up to 5 TiB
  EXPECT_FALSE(slots.take("d", 1025, uint64_t{5} << 30));
  slots.end("c");
  slots.end("d");
  slots.end("never");
  EXPECT_EQ(files().size(), 1U);  // a's: whoever closed it says what it becomes
}

}  // namespace trainyard::objects
