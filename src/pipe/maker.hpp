// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "pipe/ahead.hpp"
#include "pipe/stream.hpp"

namespace trainyard::pipe {

// Makes one epoch of a channel: its entries in order, inflated and wrapped as the channel wants it.
class Maker {
 public:
  // Takes a segment, and may give a text back whose memory is used again: fresh memory costs more
  // than the copy into it. Its error ends make() and is returned. Plan and channel must outlive it.
  // Small objects that are fetched ahead take about `ahead_bytes` of memory.
  using Take = std::function<Result<std::string>(Segment segment)>;
  // Pipes for what comes as pages; nothing: no more of them.
  using EmptyPipe = std::function<std::optional<transfer::PagePipe>()>;
  Maker(const PipePlan& plan, const PipeChannel& channel, uint64_t ahead_bytes,
        std::stop_token stop, Take take, EmptyPipe empty_pipe);

  // Call it once.
  Result<> make(uint64_t epoch);

 private:
  Result<> put(const Piece& piece);
  Result<> put_object(const Source& source);
  Result<> put_inflated_record(const Source& source);
  Result<> put_file(const Source& source);
  Result<> put_remote(const Source& source);
  Result<> put_whole(Segment segment);
  Result<> put_bytes(std::string_view bytes);
  Result<> flush();

  // The next object of those that are fetched ahead.
  Result<> read_ahead(const transfer::OnPiece& on_piece);
  // The object's bytes in order, from its file or over S3; moves `reached_` on.
  Result<> read(const Source& source, const transfer::OnPiece& on_piece);
  // The same, inflated where the channel wants it.
  Result<> read_inflated(const Source& source, const transfer::OnPiece& on_piece);

  const PipePlan& plan_;
  const PipeChannel& channel_;
  Take take_;
  EmptyPipe empty_pipe_;
  const uint64_t ahead_bytes_;
  std::stop_token stop_;
  Clients clients_;
  std::vector<size_t> order_;
  std::optional<Ahead> ahead_;  // from the first object on that comes this way
  std::string spare_;
  std::string buffer_;    // what was put and not taken yet
  uint64_t reached_ = 0;  // bytes of the current object that were read
};

}  // namespace trainyard::pipe
