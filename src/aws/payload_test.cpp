// SPDX-License-Identifier: Apache-2.0
#include "aws/payload.hpp"

#include <gtest/gtest.h>

namespace trainyard::aws {

namespace {

std::string decoded(std::string encoded, std::optional<uint64_t> length = std::nullopt) {
  http::TextBody body(std::move(encoded));
  auto chunked = chunked_body(body, length, std::nullopt);
  auto text = http::read_all(*chunked, 1 << 20);
  if (!text) return "error: " + text.error().message;
  for (const auto& [name, value] : chunked->trailers()) *text += " " + name + "=" + value;
  return *text;
}

}  // namespace

TEST(ChunkedBody, chunks_and_trailers_are_taken_apart) {
  EXPECT_EQ(decoded("5\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 6),
            "hello! x-amz-checksum-crc32=NhCmhg==");
  EXPECT_EQ(decoded("0\r\n\r\n", 0), "");
  EXPECT_EQ(decoded("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789");
}

TEST(ChunkedBody, what_is_malformed_is_an_error) {
  for (std::string text : {"", "5", "5\r\nhel", "x\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\r\n",
                           "5\r\nhello\r\n0\r\n", "ffffffffffffffff\r\n", "0\r\nnocolon\r\n\r\n"}) {
    EXPECT_TRUE(decoded(text).starts_with("error: ")) << text;
  }
  EXPECT_TRUE(decoded("5\r\nhello\r\n0\r\n\r\n", 4).starts_with("error: the body is not as long"));
  EXPECT_TRUE(decoded("5\r\nhello\r\n0\r\n\r\n", 6).starts_with("error: the body is not as long"));
}

}  // namespace trainyard::aws
