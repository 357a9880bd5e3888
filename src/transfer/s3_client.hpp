// SPDX-License-Identifier: Apache-2.0
// The part of S3's API that agents and the command line use, with retries. Not thread-safe: one per
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "http/client.hpp"
#include "transfer/s3_access.hpp"

namespace trainyard::transfer {

// Adds what S3 wants to see in the headers, the signature last; returns the request's path and
// query.
std::string sign_request(const S3Access& access, std::string_view method, const S3Uri& target,
                         const std::string& query, http::Headers& headers);

// One object as it was when it was listed.
struct ObjectSummary {
  std::string key;
  uint64_t size = 0;
  std::string etag;  // in quotes, as S3 sends it
  // The object's own file, never rewritten, where the store is on this host and says so; empty:
  // the bytes come over S3 only.
  fs::path file = {};
};

// Bytes moved since the last call; called often, from the calling thread.
using OnBytes = std::function<void(uint64_t bytes)>;

class RangeStream;
struct PageTaker;

// Takes bytes in order.
using OnPiece = std::function<Result<>(std::string_view piece)>;

// Errors carry S3's code and message; a bucket or key that is not there is not_found, missing
// permission denied.
class S3Client {
 public:
  explicit S3Client(S3Access access, std::stop_token stop = {});
  ~S3Client();
  S3Client(S3Client&&) noexcept;
  S3Client& operator=(S3Client&&) noexcept;

  // With the same access and stop token, for another thread. May be called by it.
  S3Client another() const { return S3Client(access_, stop_); }

  // All objects under the prefix, in byte order of the keys.
  Result<std::vector<ObjectSummary>> list(const S3Uri& prefix);

  // Whether there is any object under the prefix.
  Result<bool> has_objects(const S3Uri& prefix);

  // One object as a listing has it; not_found.
  Result<ObjectSummary> find(const S3Uri& object);

  // Downloads into a new file beside `path` and renames: `path` is whole or absent. Verifies length
  // and, where S3 sends one, the checksum.
  Result<> download(const S3Uri& object, const fs::path& path, const OnBytes& on_bytes = {});

  // Bytes [offset, offset + length) of the object, in order, as they come. A broken connection is
  // resumed at the byte reached. With `etag` only of that very object: `conflict` when it was
  // replaced since. An error of `on_piece` ends the call and is returned.
  Result<> read_range(const S3Uri& object, const std::string& etag, uint64_t offset,
                      uint64_t length, const OnPiece& on_piece);

  // The whole object, which has `size` bytes, in the same way. Where S3 sends a checksum of all of
  // it the bytes are held to that: `invalid` at the end when they are others.
  // With `pages` some of it, or all, goes to that instead, in the same order.
  Result<> read_object(const S3Uri& object, const std::string& etag, uint64_t size,
                       const OnPiece& on_piece, const PageTaker* pages = nullptr);

  // What S3 says of the object, its checksum too where it has one. With `etag` only of that very
  // object, as read_range.
  Result<http::Headers> head(const S3Uri& object, const std::string& etag);

  // Replaces the object by the file's bytes; in parts from 16 MiB on (object_writer.hpp).
  Result<> upload(const fs::path& path, const S3Uri& object, const OnBytes& on_bytes = {});
  Result<> upload_bytes(std::string_view bytes, const S3Uri& object);

  Result<> remove(const S3Uri& object);  // nothing there is fine

  Result<> create_bucket(const std::string& bucket);  // one that exists is fine

  // Any other call of S3's API: signed, and repeated while that may help.
  Result<http::Answer> call(std::string_view method, const S3Uri& target, const std::string& query,
                            http::Call call);

 private:
  friend class ObjectWriter;
  struct Page {
    std::vector<ObjectSummary> objects;
    std::string next;  // token; empty: the last page
  };
  Result<Page> list_page(const S3Uri& prefix, const std::string& options);
  // A signed call, repeated with growing pauses while it may help. Its body is left as it is.
  Result<http::Answer> send(std::string_view method, const S3Uri& target, const std::string& query,
                            http::Call&& call);
  Result<http::Answer> send_once(std::string_view method, const S3Uri& target,
                                 const std::string& query, http::Call& call);
  struct WholeRead;
  // As far as the fast way goes; the calls above go on from there.
  Result<> read_object_fast(const S3Uri& object, const std::string& etag, uint64_t size,
                            WholeRead& read, const PageTaker* pages);
  Result<> read_range_once(const S3Uri& object, const std::string& etag, uint64_t& offset,
                           uint64_t end, const OnPiece& on_piece);
  Result<> read_object_once(const S3Uri& object, const std::string& etag, uint64_t size,
                            WholeRead& read);
  // False where that is not the way, and nothing was done.
  Result<bool> download_fast(const S3Uri& object, const fs::path& part, const OnBytes& on_bytes);
  Result<> download_once(const S3Uri& object, const fs::path& part, const OnBytes& on_bytes);
  RangeStream& fast();

  S3Access access_;
  std::stop_token stop_;
  http::Client client_;
  std::unique_ptr<RangeStream> fast_;  // made when it is needed
};

}  // namespace trainyard::transfer
