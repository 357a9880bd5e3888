// SPDX-License-Identifier: Apache-2.0
// The arithmetic of SigV4: canonical request, string to sign, key. Internal to aws/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"

namespace trainyard::aws {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string sha256(std::string_view bytes);  // 32 raw bytes
std::string hmac_sha256(std::string_view key, std::string_view text);

// Where and for what a signature holds: "20261124/us-west-2/s3/aws4_request".
struct Scope {
  std::string date;  // "20261124"
  std::string region;
  std::string service;
  std::string text() const;
};

// What is signed of a request.
struct Canonical {
  std::string_view method;
  std::string_view path;   // as sent
  std::string_view query;  // as sent, without X-Amz-Signature
  const http::Headers& headers;
  std::vector<std::string> signed_headers;  // lower case, sorted
  std::string_view payload_hash;
};

// The key that signs everything of one day, region and service.
std::string signing_key(std::string_view secret_key, const Scope& scope);

// Lower-case hex.
std::string signature_of(const Canonical& request, const Scope& scope, std::string_view amz_date,
                         std::string_view key);

}  // namespace trainyard::aws
