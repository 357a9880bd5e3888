// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, both directions.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "aws/fault.hpp"
#include "base/clock.hpp"
#include "http/message.hpp"

namespace trainyard::aws {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty for long-lived keys
};

constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// Lower-case hex SHA-256, what a signature says of a payload.
std::string payload_hash_of(std::string_view body);

struct SigningOptions {
  Credentials credentials;
  std::string region;
  std::string service;
  Time time;
  // payload_hash_of() the body, or, for S3 only, kUnsignedPayload.
  std::string payload_hash = std::string(kUnsignedPayload);
};

// Adds X-Amz-Date, X-Amz-Content-Sha256, X-Amz-Security-Token and Authorization to `headers`.
// `path` is the encoded path as it will be sent, `query` the encoded query without '?'.
// Signs host, content-type and all x-amz-* headers; `headers` must hold Host.
void sign(std::string_view method, std::string_view path, std::string_view query,
          http::Headers& headers, const SigningOptions& options);

// Who signs with this access key; nullopt where the key is unknown.
using FindCredentials = std::function<std::optional<Credentials>(std::string_view access_key)>;

// What a verified request says about its sender.
struct Signature {
  std::string access_key;
  std::string region;
  std::string service;  // of the credential scope: "s3", "sagemaker", "logs", …
};

// A verified request: its body checks itself while it is read. The last read fails with `invalid`
// where the payload's hash is wrong.
struct Verified {
  Signature signature;
  std::unique_ptr<http::Body> body;
};

// Checks the header form and the presigned form (X-Amz-Signature in the query), the clock (15
// minutes either way; X-Amz-Expires), the session token, that Host and all x-amz-* headers are
// signed, and the signature. Payloads may be signed, unsigned (S3 only) or STREAMING-*; the
// verified body is the decoded one. The request's body must outlive the result.
// S3 and the other services name their faults differently; the credential scope decides which.
std::variant<Verified, Fault> verify(const http::Request& request, const FindCredentials& find,
                                     Time now);

}  // namespace trainyard::aws
