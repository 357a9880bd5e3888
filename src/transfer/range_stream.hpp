// SPDX-License-Identifier: Apache-2.0
// The fast way to read objects and ranges of them: a connection of its own, and pieces of 1 MiB
// straight from it (libcurl hands out 16 KiB at a time, which costs half of the speed). For answers
// as they should be: whatever is unusual is left to S3Client. Not thread-safe.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "transfer/answer.hpp"
#include "transfer/link.hpp"
#include "transfer/page_pipe.hpp"
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

  // Asks for the whole object, which has `size` bytes where one is given, and returns a good answer
  // with its length. Nothing: to be had from S3Client. The error is `cancelled`.
  Result<std::optional<Answer>> open(const S3Uri& object, const std::string& etag,
                                     std::optional<uint64_t> size);
  // Then reads that answer's body, in the way of read().
  Result<uint64_t> take(const OnPiece& on_piece);
  // The same, but what comes over a plain connection goes as pages where `pages` has pipes for
  // them; errors are those of either.
  Result<uint64_t> take(const OnPiece& on_piece, const PageTaker& pages);

 private:
  bool connect(const Endpoint& endpoint);
  bool establish();
  // False when nothing has come by then.
  bool wait(uint32_t events, std::chrono::milliseconds time) const;
  bool send(std::string_view request);
  // Asks over a kept connection or a new one; `is_good` says which answers are to be had from here.
  template <class IsGood>
  Result<std::optional<Answer>> ask(const S3Uri& object, const http::Headers& headers,
                                    const IsGood& is_good);
  // What is behind the head stays at the front of buffer_.
  std::optional<Answer> take_head();
  // What came, at most `wanted` bytes of buffer_; nothing when the connection is of no use any
  // more.
  std::optional<size_t> receive(size_t wanted);
  // The body from byte `taken` on; returns the byte reached.
  Result<uint64_t> take_pieces(uint64_t taken, const OnPiece& on_piece);
  // Waits for bytes that fill it, at most `wanted`. It stays empty where none come any more.
  void fill(PagePipe& pipe, uint64_t wanted);
  // When the rest of the answer is not wanted.
  Failure give_up(Error error);

  S3Access access_;
  std::stop_token stop_;
  TlsContext context_;        // made when it is needed
  std::optional<Link> link_;  // kept between calls
  std::string connected_to_;
  std::vector<char> buffer_;
  size_t received_ = 0;  // bytes in buffer_
  uint64_t length_ = 0;  // of the answer's body
};

}  // namespace trainyard::transfer
