// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

// Inflates gzip (RFC 1952) as it arrives. Members one after the other are one stream, as they are
// to gzip(1); zeros between and after them are padding, and no bytes at all inflate to none.
class Gunzip {
 public:
  Gunzip();
  ~Gunzip();
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  // Hands on what the bytes inflate to, in pieces of at most 256 KiB. `invalid`, with the offset in
  // the compressed bytes, for what is no gzip or fails its check; an error of `on_piece` is
  // returned. Not to be called again after an error.
  Result<> add(std::string_view bytes, const OnPiece& on_piece);

  // No more bytes come. `invalid` within a member.
  Result<> finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainyard::transfer
