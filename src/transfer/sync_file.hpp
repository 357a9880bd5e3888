// SPDX-License-Identifier: Apache-2.0
// A local file against its object: whether they hold the same bytes, and an upload that goes on
// where an earlier one was cut off.
#pragma once

#include <memory>

#include "base/file.hpp"
#include "transfer/s3_inspect.hpp"

namespace trainyard::transfer {

enum class Sameness {
  same,
  different,
  unknown,  // same size, but the store keeps nothing that could be compared
};

// Of a file and an object of the listing. Sizes first; then the ETag, where it is an MD5; then the
// CRC64NVME that the store keeps, for which it is asked once; then the ETag of parts of the usual
// sizes. Reads the file at most twice.
Result<Sameness> compare_file(S3Client& client, const fs::path& file, const S3Uri& object,
                              const ObjectSummary& listed, const OnBytes& on_bytes = {});

// An upload in parts of 16 MiB or more, in the order that callers like. Parts of an unfinished
// upload of the same bytes are not sent again, so that one that was cut off goes on; nothing is
// visible before finish(). What is not finished is left for the next one to find.
class FileUpload {
 public:
  static Result<std::unique_ptr<FileUpload>> begin(S3Client& client, const fs::path& file,
                                                   const S3Uri& object);
  virtual ~FileUpload() = default;

  virtual size_t parts() const = 0;
  // Thread-safe for different parts, each with its thread's client; `index` counts from 0. The
  // bytes that were sent or found there come back. `conflict`: the file changed meanwhile.
  virtual Result<uint64_t> send(S3Client& client, size_t index) = 0;
  // After all parts.
  virtual Result<> finish(S3Client& client) = 0;
};

// Replaces the object by the file's bytes, by one call where they fit into one part.
Result<> upload_file(S3Client& client, const fs::path& file, const S3Uri& object,
                     const OnBytes& on_bytes = {});

}  // namespace trainyard::transfer
