// SPDX-License-Identifier: Apache-2.0
// What is fetched next, and how far. Pure but for the chunk map that it reads; not thread-safe.
//
// A read that waits is a demand; a worker runs one stream at a time: chunks of one file in order.
// A demand at the start of a file, or behind the one before it, is a reader going through: its
// stream runs on ahead (each file of an interleaving reader has its own). Any other is random: what
// it asked for and 128 KiB. Where nobody waits, files are completed in the plan's order from the
// one that was read last. Streams that nobody waits for make room for demands.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "hydrate/chunk_map.hpp"

namespace trainyard::hydrate {

struct Work {
  uint32_t file = 0;
  uint64_t first = 0;  // chunks [first, end) are to be fetched; none: the file is to be checked
  uint64_t end = 0;
};

class Schedule {
 public:
  // The map must outlive it.
  explicit Schedule(const ChunkMap& map);

  // A read waits for these bytes.
  void demand(uint32_t file, uint64_t offset, uint64_t length);

  // A read waits for the file to be checked, all of whose bytes are there.
  void demand_check(uint32_t file);

  // What the worker is to do now; it is then its stream until done().
  std::optional<Work> next(int worker);

  // At the end of each chunk: whether the stream goes on with the one after it.
  bool go_on(int worker);

  // The worker's stream ended. True: its file is whole and this worker is to check it; its stream
  // goes on until done(). Otherwise it is over.
  bool begin_check(int worker);

  // The worker's stream is over. A failed file's demands are dropped, and it is fetched again only
  // when it is demanded again. True where somebody waited for it.
  void done(int worker);
  bool failed(int worker);

 private:
  struct Demand {
    uint32_t file;
    uint64_t first;  // the first chunk that is missing
    uint64_t end;
  };
  struct Stream {
    uint32_t file;
    uint64_t at;
    uint64_t end;
    bool is_demanded;
    bool is_check = false;
  };
  struct Reader {
    uint64_t end = 0;     // of its last demand
    uint64_t window = 1;  // chunks
  };

  void forget_satisfied();
  uint64_t stream_end(const Demand& demand);
  Stream* covering(const Demand& demand);
  bool is_streamed(uint32_t file) const;
  bool has_demanded_stream() const;
  bool has_open_demand();
  std::optional<Work> next_check(int worker);
  std::optional<Work> next_demanded(int worker);
  std::optional<Work> next_idle(int worker);
  uint64_t first_missing(uint32_t file, uint64_t from) const;
  uint64_t first_present(uint32_t file, uint64_t from, uint64_t limit) const;

  const ChunkMap& map_;
  std::vector<Demand> demands_;
  std::set<uint32_t> checks_;      // files to be checked, which reads wait for
  std::map<int, Stream> streams_;  // by worker
  std::map<uint32_t, Reader> readers_;
  std::set<uint32_t> lazy_;  // files that idle time is to complete
  uint32_t cursor_ = 0;      // where idle time goes on in them
};

}  // namespace trainyard::hydrate
