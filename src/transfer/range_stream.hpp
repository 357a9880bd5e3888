// SPDX-License-Identifier: Apache-2.0
// The fast way to read ranges of objects: a socket of its own, and pieces of 1 MiB straight from it
// (libcurl hands out 16 KiB at a time, which costs half of the speed). For plain http only, and for
// answers as they should be: whatever is unusual is left to S3Client. Not thread-safe.
#pragma once

#include <optional>
#include <stop_token>

#include "base/fd.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

class RangeStream {
 public:
  RangeStream(S3Access access, std::stop_token stop);

  // Reads from `offset` on as S3Client::read_range does, in pieces that end at multiples of 1 MiB
  // from there where bytes come fast enough. Returns how many bytes were taken: fewer than `length`
  // where the rest, and the reason, is to be had from S3Client. Errors are those of `on_piece` and
  // `cancelled`.
  Result<uint64_t> read(const S3Uri& object, const std::string& etag, uint64_t offset,
                        uint64_t length, const OnPiece& on_piece);

 private:
  bool connect();
  bool ask(const S3Uri& object, const std::string& etag, uint64_t offset, uint64_t length);
  // The length of the head in buffer_, whose rest is body; nullopt: no good answer.
  std::optional<size_t> take_head(uint64_t offset, uint64_t length);
  Result<uint64_t> take_body(size_t head, uint64_t length, const OnPiece& on_piece);

  S3Access access_;
  std::stop_token stop_;
  Fd socket_;  // kept between calls
  std::vector<char> buffer_;
  size_t received_ = 0;  // bytes in buffer_
};

}  // namespace trainyard::transfer
