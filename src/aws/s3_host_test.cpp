// SPDX-License-Identifier: Apache-2.0
#include "aws/s3_host.hpp"

#include <gtest/gtest.h>

namespace trainyard::aws {

TEST(S3Host, the_bucket_stands_before_s3_in_a_virtual_host) {
  for (std::string_view host :
       {"data.s3.us-west-2.amazonaws.com", "data.s3.amazonaws.com",
        "data.s3-us-west-2.amazonaws.com", "data.s3.dualstack.us-west-2.amazonaws.com:443",
        "Data.S3.Amazonaws.Com", "data.localhost:4600"}) {
    EXPECT_EQ(bucket_of_host(host), "data") << host;
  }
  EXPECT_EQ(bucket_of_host("a.b-c.s3.us-west-2.amazonaws.com"), "a.b-c");
  EXPECT_EQ(bucket_of_host("a.s3.b.s3.amazonaws.com"), "a.s3.b");
  EXPECT_EQ(bucket_of_host("s3.s3.us-west-2.amazonaws.com"), "s3");
}

TEST(S3Host, other_hosts_name_no_bucket) {
  for (std::string_view host :
       {"s3.us-west-2.amazonaws.com", "s3.amazonaws.com", "s3-us-west-2.amazonaws.com",
        "sts.us-west-2.amazonaws.com", "127.0.0.1:4600", "[::1]:4600", "data.s3.example.com",
        "data.s3.amazonaws.com.example.com", "amazonaws.com", ""}) {
    EXPECT_EQ(bucket_of_host(host), "") << host;
  }
}

}  // namespace trainyard::aws
