// SPDX-License-Identifier: Apache-2.0
// gzip by several cores: blocks of 1 MiB are deflated by threads at isa-l's level 1 and joined at
// byte borders (full flushes) to one gzip member, so that every reader takes it for an ordinary
// file. Blocks that would hardly shrink are stored. data_plane.md 3d has the measurements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.hpp"

namespace trainyard::transfer {

// Takes the bytes of something as they are made.
using ByteSink = std::function<Result<>(std::string_view bytes)>;

// Used by one thread, which is also the one that calls the sink: always in order, while further
// blocks are deflated. Memory: about 5 MiB for each thread. An error of the sink is returned by the
// call during which it came up; after it, only destruction is allowed.
class ParallelGzip {
 public:
  // `threads` 0: one for each core, at most 12.
  explicit ParallelGzip(ByteSink sink, size_t threads = 0);
  ~ParallelGzip();  // without finish() the output is cut off
  ParallelGzip(const ParallelGzip&) = delete;
  ParallelGzip& operator=(const ParallelGzip&) = delete;

  Result<> write(std::string_view bytes);
  // As many zeros; whole blocks of them cost next to nothing.
  Result<> write_zeros(uint64_t count);

  // Where the next bytes go, never empty, so that a file can be read into it; then advance() by
  // what was put there.
  Result<std::span<char>> room();
  void advance(size_t bytes);

  // The end of the member. Nothing may be written afterwards.
  Result<> finish();

 private:
  class Pipeline;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace trainyard::transfer
