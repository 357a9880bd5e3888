// SPDX-License-Identifier: Apache-2.0
#include "aws/cbor.hpp"

#include <gtest/gtest.h>

#include <array>

#include "base/text.hpp"

namespace trainyard::aws {

namespace {

constexpr std::array<std::string_view, 1> kTimestamps = {"Timestamp"};

std::string parsed(std::string_view hex) {
  auto value = parse_cbor(from_hex(hex).value());
  return value ? json::serialize(*value) : value.error().message;
}

}  // namespace

TEST(Cbor, documents_come_back_as_they_went) {
  auto value =
      json::parse(R"({"a":[1,-1,-300,4294967296,0.5,"ü",true,false,null],"b":{}})").value();
  EXPECT_EQ(parse_cbor(to_cbor(value, kTimestamps)).value(), value);
}

// Examples of RFC 8949, appendix A.
TEST(Cbor, what_others_write_is_read) {
  EXPECT_EQ(parsed("c11a514b67b0"), "1363896240");
  EXPECT_EQ(parsed("c1fb41d452d9ec200000"), "1.3638962405E9");
  EXPECT_EQ(parsed("bf61610161629f0203ffff"), R"({"a":1,"b":[2,3]})");
  EXPECT_EQ(parsed("7f657374726561646d696e67ff"), R"("streaming")");
  EXPECT_EQ(parsed("f97bff"), "6.5504E4");
}

TEST(Cbor, timestamps_are_tagged) {
  EXPECT_EQ(to_hex(to_cbor(json::value{{"Timestamp", 1.5}}, kTimestamps)),
            "a16954696d657374616d70c1fb3ff8000000000000");
}

TEST(Cbor, what_is_no_request_is_refused) {
  for (std::string_view hex : {"", "ff", "a1", "a10101", "4401020304", "c249010000000000000000",
                               "1bffffffffffffffff", "62c328", "0101", "9f", "5f"}) {
    EXPECT_EQ(parsed(hex).substr(0, 14), "malformed CBOR") << hex;
  }
  std::string deep(100, '\x81');
  EXPECT_FALSE(parse_cbor(deep + "\x01"));
}

}  // namespace trainyard::aws
