// SPDX-License-Identifier: Apache-2.0
// Bodies that check themselves while they are read. Internal to aws/.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/canonical.hpp"
#include "http/message.hpp"

namespace trainyard::aws {

// Passes bytes on, and fails the last read with `invalid` where their SHA-256 is not
// `expected_hash` (lower-case hex). `body` must outlive the result.
std::unique_ptr<http::Body> hashed_body(http::Body& body, std::string_view expected_hash);

// Passes bytes on unchecked.
std::unique_ptr<http::Body> plain_body(http::Body& body);

// How the chunks of a STREAMING-AWS4-HMAC-SHA256-* body are signed.
struct ChunkSigning {
  std::string key;
  std::string amz_date;
  Scope scope;
  std::string seed_signature;  // of the request
};

// Content-Encoding aws-chunked:
//
//   5;chunk-signature=<hex>\r\n   (the signature only where chunks are signed)
//   hello\r\n
//   0;chunk-signature=<hex>\r\n
//   x-amz-checksum-crc32:NhCmhg==\r\n
//   \r\n
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
// Reads are `invalid` where a chunk, a signature or the decoded length is wrong.
std::unique_ptr<http::Body> chunked_body(http::Body& body, std::optional<uint64_t> decoded_length,
                                         std::optional<ChunkSigning> signing);

}  // namespace trainyard::aws
