// SPDX-License-Identifier: Apache-2.0
// How to reach an S3 service, and how a request names its bucket and key.
#pragma once

#include <string>

#include "aws/sigv4.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "model/remote_s3.hpp"
#include "model/s3_uri.hpp"

namespace trainyard::transfer {

struct S3Access {
  std::string endpoint;  // "http://127.0.0.1:4600"
  std::string region;
  aws::Credentials credentials;  // an empty access key: requests are not signed
  bool is_path_style = true;     // endpoint/bucket/key; else bucket.endpoint/key
  std::string ca_file = {};      // certificates to trust; empty: the system's
  // Our own store, perhaps on this host: its listings say where an object's file lies. Another
  // server must not be asked, for what it names would be opened with our rights.
  bool is_own_store = false;
};

S3Access access_of(const RemoteS3& remote);

// For files that only their owner reads: with the credentials.
json::object to_json(const S3Access& access);
Result<S3Access> parse_s3_access(const json::object& document);

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
struct RequestTarget {
  std::string scheme;  // "http"
  std::string host;    // with its port, as the Host header has it
  std::string path;    // percent-encoded, as it is signed
  std::string origin() const { return scheme + "://" + host; }
  std::string url() const { return origin() + path; }
};

// An empty key: the bucket itself; an empty bucket: the service.
RequestTarget target_of(const S3Access& access, const S3Uri& object);

}  // namespace trainyard::transfer
