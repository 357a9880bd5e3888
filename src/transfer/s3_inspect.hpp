// SPDX-License-Identifier: Apache-2.0
// What a bucket says about objects and unfinished uploads without sending their bytes, and the
// single steps of an upload in parts. One client per thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

struct ObjectHead {
  uint64_t size = 0;
  std::string etag;                      // in quotes
  std::optional<std::string> crc64nvme;  // base64, of the whole object, where the store keeps one
};

Result<ObjectHead> head_object(S3Client& client, const S3Uri& object);

// The bytes must match the checksum, in base64 as S3 has it, when they come to the store.
Result<> put_object(S3Client& client, const S3Uri& object, std::string bytes,
                    const std::string& crc64nvme);

// Ids of the uploads of that very key that were begun and neither completed nor aborted.
Result<std::vector<std::string>> unfinished_uploads(S3Client& client, const S3Uri& object);

struct StoredPart {
  int number = 0;  // from 1
  uint64_t size = 0;
  std::string etag;  // in quotes
};

// In the order of their numbers.
Result<std::vector<StoredPart>> stored_parts(S3Client& client, const S3Uri& object,
                                             const std::string& upload);

// The id of a new upload, whose object will have a CRC64NVME over all its bytes.
Result<std::string> begin_upload(S3Client& client, const S3Uri& object);

// Replaces the part of that number, if any; the checksum as for put_object. Returns its ETag.
Result<std::string> put_part(S3Client& client, const S3Uri& object, const std::string& upload,
                             int number, std::string bytes, const std::string& crc64nvme);

Result<> complete_upload(S3Client& client, const S3Uri& object, const std::string& upload,
                         const std::vector<StoredPart>& parts);

}  // namespace trainyard::transfer
