// SPDX-License-Identifier: Apache-2.0
// What an S3 server's answer to a GET or HEAD of an object says before its body. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "objects/checksum.hpp"

namespace trainyard::transfer {

// What the whole object's bytes must add up to.
struct Expectation {
  enum class Kind { length_only, checksum, md5 };
  Kind kind = Kind::length_only;
  objects::ChecksumAlgorithm algorithm = objects::ChecksumAlgorithm::crc64nvme;
  std::string digest;  // raw

  std::string name() const;                              // "CRC32C", "MD5 of the ETag"
  std::unique_ptr<objects::Digest> make_digest() const;  // null for length_only
};

struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  std::optional<uint64_t> total;
};

struct Answer {
  int status = 0;
  std::optional<uint64_t> content_length;
  std::optional<ContentRange> content_range;
  bool is_kept_alive = true;
  bool is_chunked = false;
  std::string etag;
  std::string location;
  std::string content_type;
  Expectation expectation;  // of the answers 200 to GET and HEAD
};

// `head` is all up to and with the empty line. What is not HTTP is `unavailable`: another try may
// bring something better.
Result<Answer> parse_answer(std::string_view head);

// The Error that an answer with status 300 or above stands for, given what came of its body.
Error error_of(const Answer& answer, std::string_view body);

}  // namespace trainyard::transfer
