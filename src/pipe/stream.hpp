// SPDX-License-Identifier: Apache-2.0
// A channel's bytes, epoch after epoch, made by a thread of its own ahead of whoever writes them
// into the FIFO: over S3 that hides the way to the store, also between epochs.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>

#include "base/guarded.hpp"
#include "pipe/plan.hpp"
#include "transfer/page_pipe.hpp"

namespace trainyard::pipe {

// Bytes of a file that nobody changes, to be spliced.
struct FileRange {
  std::shared_ptr<Fd> file;
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string name;  // for errors
};

using Segment = std::variant<std::string, FileRange, transfer::PagePipe>;

class Stream {
 public:
  // Plan and channel must outlive it. At most about `budget_bytes` are in memory, and 5 MiB more;
  // a gzip object in a RecordIO record takes up to 16 MiB for itself, and disk below `state`
  // beyond. Nothing is read before the first begin().
  Stream(const PipePlan& plan, const PipeChannel& channel, size_t budget_bytes);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // From now on next() gives that epoch, from its start. The first bytes of the epoch that follows
  // one read to its end are there already.
  void begin(uint64_t epoch);

  // The segment that follows, or nothing at the epoch's end. An error names the object and where in
  // it; `cancelled` when `stop` was requested.
  Result<std::optional<Segment>> next(const std::stop_token& stop);

  // Bytes of a segment that are done with, for their memory.
  void give_back(std::string bytes);
  void give_back(transfer::PagePipe emptied);

 private:
  struct Slot {
    uint64_t epoch = 0;
    std::optional<Segment> segment;  // nothing: the epoch's end
  };
  struct State {
    uint64_t round = 0;              // counts begin()s that threw away what was made
    std::optional<uint64_t> wanted;  // the epoch to make from its start, until the thread takes it
    std::stop_source round_stop;     // ends what is made for an earlier round
    std::deque<Slot> slots;
    size_t bytes = 0;                  // of the slots that are in memory
    std::optional<uint64_t> at_start;  // the epoch whose first slot is the next to be taken
    std::vector<std::string> spares;
    std::vector<transfer::PagePipe> empty_pipes;  // at most as many as there were slots
    std::optional<Error> error;                   // comes after the slots
  };

  // Of the budget, for small objects that are fetched ahead.
  size_t ahead_bytes() const { return budget_bytes_ / 4; }

  void run(const std::stop_token& stop);
  std::optional<transfer::PagePipe> empty_pipe();
  Result<std::string> push(uint64_t round, Slot slot, const std::stop_token& stop);

  const PipePlan& plan_;
  const PipeChannel& channel_;
  const size_t budget_bytes_;
  Guarded<State> state_;
  std::jthread thread_;
};

}  // namespace trainyard::pipe
