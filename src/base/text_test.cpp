// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace trainyard {

TEST(Text, base64_round_trips_every_length) {
  for (size_t length = 0; length < 10; ++length) {
    std::string bytes(length, '\xff');
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes) << length;
  }
}

TEST(Text, malformed_base64_is_refused) {
  EXPECT_FALSE(from_base64("abc"));
  EXPECT_FALSE(from_base64("ab!="));
  EXPECT_FALSE(from_base64(" abc"));
}

TEST(Text, percent_coding_keeps_all_bytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
  EXPECT_FALSE(percent_decode("%2"));
  EXPECT_FALSE(percent_decode("%zz"));
}

TEST(Text, invalid_utf8_is_replaced_byte_by_byte) {
  EXPECT_EQ(to_valid_utf8("a\xff\xc3(\xe2\x82\xac"), "a\xEF\xBF\xBD\xEF\xBF\xBD(\xe2\x82\xac");
  EXPECT_TRUE(is_valid_utf8("h\xc3\xa9"));
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80")) << "a surrogate";
  EXPECT_FALSE(is_valid_utf8("\xc0\xaf")) << "an overlong form";
}

TEST(Text, cut_middle_keeps_both_ends_and_whole_characters) {
  EXPECT_EQ(cut_middle("short", 10), "short");
  std::string cut = cut_middle(std::string(600, 'a') + std::string(600, 'z'), 101);
  EXPECT_EQ(cut.size(), 101u);
  EXPECT_TRUE(cut.starts_with("aaa") && cut.ends_with("zzz"));
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "\xc3\xa9";
  for (size_t limit = 10; limit < 30; ++limit)
    EXPECT_TRUE(is_valid_utf8(cut_middle(accents, limit)));
}

TEST(Text, numbers_must_fill_the_text) {
  EXPECT_EQ(parse_unsigned("18446744073709551615"), UINT64_MAX);
  EXPECT_FALSE(parse_unsigned("18446744073709551616"));
  EXPECT_FALSE(parse_unsigned("1 "));
  EXPECT_FALSE(parse_unsigned(""));
  EXPECT_EQ(parse_signed("-5"), -5);
}

}  // namespace trainyard
