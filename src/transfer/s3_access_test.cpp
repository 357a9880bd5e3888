// SPDX-License-Identifier: Apache-2.0
#include "transfer/s3_access.hpp"

#include <gtest/gtest.h>

namespace trainyard::transfer {
namespace {

S3Access access(std::string endpoint, bool is_path_style) {
  return {std::move(endpoint), "eu-west-1", {}, is_path_style};
}

TEST(S3AccessTest, the_bucket_is_in_the_path_or_in_the_host) {
  S3Uri object{"data", "a b/c+d"};
  EXPECT_EQ(target_of(access("http://127.0.0.1:9000/", true), object).url(),
            "http://127.0.0.1:9000/data/a%20b/c%2Bd");
  EXPECT_EQ(target_of(access("https://s3.eu-west-1.amazonaws.com", false), object).url(),
            "https://data.s3.eu-west-1.amazonaws.com/a%20b/c%2Bd");
  EXPECT_EQ(target_of(access("https://host/minio", true), {"data", ""}).url(),
            "https://host/minio/data");
  EXPECT_EQ(target_of(access("https://host", false), {"data", ""}).url(), "https://data.host/");
  EXPECT_EQ(target_of(access("https://host", true), {"", ""}).url(), "https://host/");
}

TEST(S3AccessTest, a_bucket_belongs_to_the_first_remote_that_lists_it) {
  std::vector<RemoteS3> remotes(2);
  remotes[0].name = "team";
  remotes[0].buckets = {"team-*", "shared"};
  remotes[1].name = "all";
  remotes[1].buckets = {"team-b", "archive"};
  EXPECT_EQ(find_remote(remotes, "team-b")->name, "team");
  EXPECT_EQ(find_remote(remotes, "archive")->name, "all");
  EXPECT_EQ(find_remote(remotes, "team"), nullptr);
  EXPECT_EQ(find_remote({}, "team"), nullptr);
}

}  // namespace
}  // namespace trainyard::transfer
