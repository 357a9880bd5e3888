// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, both directions.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

struct SigningOptions {
  Credentials credentials;
  std::string region;
  std::string service;
  Time time;
  // Lower-case hex SHA-256 of the body, or kUnsignedPayload.
  std::string payload_hash = std::string(kUnsignedPayload);
};

// Adds X-Amz-Date, X-Amz-Content-Sha256, X-Amz-Security-Token and Authorization to `headers`.
// `path` is the encoded path as it will be sent, `query` the encoded query without '?'.
// Signs host, content-type and all x-amz-* headers; `headers` must hold Host.
void sign(std::string_view method, std::string_view path, std::string_view query,
          http::Headers& headers, const SigningOptions& options);

// The query string that makes a URL valid for `expires_seconds` (presigned URL).
std::string presign(std::string_view method, std::string_view host, std::string_view path,
                    std::string_view query, const SigningOptions& options, int expires_seconds);

// Who signs with this access key; nullopt where the key is unknown.
using FindCredentials = std::function<std::optional<Credentials>(std::string_view access_key)>;

// What a verified request says about its sender.
struct Signature {
  std::string access_key;
  std::string region;
  std::string service;  // of the credential scope: "s3", "sagemaker", "logs", …
};

// A verified request: its body checks itself while it is read. The last read fails with `invalid`
// where the payload's hash, a chunk signature or a trailing checksum is wrong.
struct Verified {
  Signature signature;
  std::unique_ptr<http::Body> body;  // the payload: aws-chunked framing is removed
};

// Checks the header form or the presigned form, the clock (15 minutes), expiry, and that the host
// and all x-amz-* headers are signed. The request's body must outlive the result.
// Faults: MissingAuthenticationToken, IncompleteSignature, InvalidClientTokenId,
// SignatureDoesNotMatch, RequestExpired, InvalidToken; their S3 names differ and come from fault.cpp.
std::variant<Verified, Fault> verify(const http::Request& request, const FindCredentials& find,
                                     Time now);

}  // namespace trainyard::aws
