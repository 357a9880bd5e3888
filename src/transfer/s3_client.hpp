// SPDX-License-Identifier: Apache-2.0
// The part of S3's API that agents and the command line use, with retries. Not thread-safe: one per
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "aws/sigv4.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "http/client.hpp"
#include "model/s3_uri.hpp"

namespace trainyard::transfer {

struct S3Access {
  std::string endpoint;  // "http://127.0.0.1:4600", path style
  std::string region;
  aws::Credentials credentials;
};

struct ObjectSummary {
  std::string key;
  uint64_t size = 0;
  std::string etag;
};

// Bytes moved so far by one call; called often, from the calling thread.
using OnBytes = std::function<void(uint64_t bytes)>;

class S3Client {
 public:
  explicit S3Client(S3Access access, std::stop_token stop = {});

  // Calls `visit` for every object under the prefix, in byte order of the keys.
  Result<> list(const S3Uri& prefix, const std::function<Result<>(const ObjectSummary&)>& visit);

  // Downloads into a new file beside `path` and renames: `path` is whole or absent. Verifies length
  // and checksum; resumes at the byte reached when the connection breaks.
  Result<> download(const S3Uri& object, const fs::path& path, const OnBytes& on_bytes = {});

  // Replaces the object by the file's bytes; multipart above 64 MiB.
  Result<> upload(const fs::path& path, const S3Uri& object, const OnBytes& on_bytes = {});
  Result<> upload_bytes(std::string_view bytes, const S3Uri& object);

  Result<> create_bucket(const std::string& bucket);  // one that exists is fine

  // An upload whose length is not known beforehand: parts are sent as they fill, nothing is visible
  // before finish(). Destroying it without finish() aborts the upload.
  class Writer {
   public:
    virtual ~Writer() = default;
    virtual Result<> write(std::string_view bytes) = 0;
    virtual Result<> finish() = 0;
  };
  Result<std::unique_ptr<Writer>> open_writer(const S3Uri& object);

 private:
  Result<http::Answer> send(std::string_view method, const S3Uri& target, std::string query,
                            http::Call call);

  S3Access access_;
  std::stop_token stop_;
  http::Client client_;
};

}  // namespace trainyard::transfer
