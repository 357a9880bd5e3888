// SPDX-License-Identifier: Apache-2.0
// An S3 service beside our own store, and the buckets that live there ([s3.remotes.<name>] of the
// configuration).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace trainyard {

struct RemoteS3 {
  std::string name;
  std::vector<std::string> buckets;  // names, or patterns: "team-*"
  std::string endpoint;              // "https://s3.eu-west-1.amazonaws.com", no bucket in it
  std::string region;
  std::string access_key;  // empty: requests are not signed, for public buckets
  std::string secret_key;
  std::string session_token;
  bool is_path_style = true;  // endpoint/bucket/key; else bucket.endpoint/key
  std::string ca_file;        // certificates to trust; empty: the system's
};

// The first one whose buckets hold this name; null: the bucket is our own.
const RemoteS3* find_remote(const std::vector<RemoteS3>& remotes, std::string_view bucket);

// For files that only their owner reads: with the keys.
json::object to_json(const RemoteS3& remote);
Result<RemoteS3> parse_remote(const json::object& document);

}  // namespace trainyard
