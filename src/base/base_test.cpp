// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "base/result.hpp"

namespace trainyard {

namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Code::invalid, "{} is odd", number);
  return number / 2;
}

Result<int> quarter(int number) {
  return TRY(half(TRY(half(number))));
}

TEST(File, a_tree_goes_with_the_folders_that_its_owner_has_closed) {
  fs::path root = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  ASSERT_TRUE(make_directories(root / "a/closed/b"));
  ASSERT_TRUE(write_file_atomically(root / "a/closed/b/file", "x"));
  fs::permissions(root / "a/closed/b", fs::perms::none);
  fs::permissions(root / "a/closed", fs::perms::none);
  EXPECT_TRUE(remove_tree(root));
  EXPECT_FALSE(fs::exists(root));
}

}  // namespace

TEST(Result, try_returns_the_value_or_the_first_error) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().message, "3 is odd");
}

TEST(Result, within_says_what_was_being_done) {
  Error error = Error{Code::timeout, "no answer"}.within("fetching x");
  EXPECT_EQ(error.message, "fetching x: no answer");
  EXPECT_TRUE(is_retryable(error.code));
}

TEST(File, an_atomic_write_replaces_and_leaves_no_draft) {
  fs::path folder = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  ASSERT_TRUE(make_directories(folder / "a" / "b"));
  fs::path path = folder / "a" / "b" / "f";
  ASSERT_TRUE(write_file_atomically(path, "one"));
  ASSERT_TRUE(write_file_atomically(path, "two"));
  EXPECT_EQ(read_file(path).value(), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1);
  EXPECT_EQ(read_file(path, 2).error().code, Code::exhausted);
  ASSERT_TRUE(remove_tree(folder));
  EXPECT_EQ(read_file(path).error().code, Code::not_found);
}

TEST(Clock, dates_round_trip_in_the_forms_of_http_and_sigv4) {
  Time time = from_epoch_ms(1'795'492'595'000);
  EXPECT_EQ(parse_http_date(format_http_date(time)), time);
  EXPECT_EQ(parse_amz_date(format_amz_date(time)), time);
  EXPECT_EQ(format_amz_date(time).size(), 16u);
  EXPECT_FALSE(parse_amz_date("2026-11-24"));
  EXPECT_EQ(format_iso8601(from_epoch_ms(1)), "1970-01-01T00:00:00.001Z");
}

TEST(Json, lookups_answer_for_absent_and_mistyped_members) {
  auto object = json::parse_object(R"({"a":"x","n":3,"z":null})").value();
  EXPECT_EQ(json::find_string(object, "a"), "x");
  EXPECT_EQ(json::find_integer(object, "n"), 3);
  EXPECT_EQ(json::find(object, "z"), nullptr);
  EXPECT_FALSE(json::find_string(object, "n"));
  EXPECT_FALSE(json::parse("{\"a\":"));
  EXPECT_FALSE(json::parse(std::string(100, '['))) << "deep nesting is bounded";
}

}  // namespace trainyard
