// SPDX-License-Identifier: Apache-2.0
#include "model/s3_uri.hpp"

#include <gtest/gtest.h>

namespace trainyard {

TEST(S3Uri, keys_are_taken_byte_for_byte) {
  S3Uri uri = S3Uri::parse("s3://b/a//../x/").value();
  EXPECT_EQ(uri.bucket, "b");
  EXPECT_EQ(uri.key, "a//../x/");
  EXPECT_EQ(uri.text(), "s3://b/a//../x/");
  EXPECT_EQ(S3Uri::parse("s3://b").value().key, "");
}

TEST(S3Uri, what_is_no_s3_uri_is_refused) {
  EXPECT_FALSE(S3Uri::parse("s3:///key"));
  EXPECT_FALSE(S3Uri::parse("/data/train"));
  EXPECT_FALSE(S3Uri::parse(""));
}

TEST(S3Uri, join_puts_exactly_one_slash) {
  EXPECT_EQ(S3Uri::parse("s3://b/out").value().join("model.tar.gz").key, "out/model.tar.gz");
  EXPECT_EQ(S3Uri::parse("s3://b/out/").value().join("model.tar.gz").key, "out/model.tar.gz");
  EXPECT_EQ(S3Uri::parse("s3://b").value().join("model.tar.gz").key, "model.tar.gz");
}

}  // namespace trainyard
