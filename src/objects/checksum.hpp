// SPDX-License-Identifier: Apache-2.0
// The checksums of S3's data integrity protocol, and MD5 for ETags.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace trainyard::objects {

enum class ChecksumAlgorithm { crc32, crc32c, crc64nvme, sha1, sha256 };

inline constexpr std::array kChecksumAlgorithms = {
    ChecksumAlgorithm::crc32, ChecksumAlgorithm::crc32c, ChecksumAlgorithm::crc64nvme,
    ChecksumAlgorithm::sha1, ChecksumAlgorithm::sha256};

// "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"; matched without case.
std::string_view api_name(ChecksumAlgorithm algorithm);
std::optional<ChecksumAlgorithm> parse_checksum_algorithm(std::string_view api_name);

// "x-amz-checksum-crc32" and so on, in lower case.
std::string header_name(ChecksumAlgorithm algorithm);

// Raw bytes in the order in which S3 encodes them as base64.
size_t digest_size(ChecksumAlgorithm algorithm);

// Takes bytes in pieces.
class Digest {
 public:
  virtual ~Digest() = default;
  virtual void add(std::string_view bytes) = 0;
  // Raw bytes. Call it once.
  virtual std::string finish() = 0;
};

std::unique_ptr<Digest> make_digest(ChecksumAlgorithm algorithm);
std::unique_ptr<Digest> make_md5();

}  // namespace trainyard::objects
