// SPDX-License-Identifier: Apache-2.0
// A tier, seen from the guardian: where reads come from and how they are answered. Used by one
// thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "hydrate/backing.hpp"
#include "hydrate/chunk_map.hpp"
#include "hydrate/hydrate.hpp"

namespace trainyard::hydrate {

// A read that waits for its bytes.
struct Read {
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t token = 0;  // the front's own
};

using OnRead = std::function<void(const Read&)>;

class Front {
 public:
  virtual ~Front() = default;

  virtual std::string_view tier() const = 0;
  // What people should know of how it works here; mostly nothing.
  virtual std::string note() const { return ""; }
  // Of the tier's files, by file number. The guardian and the hydrator write through them.
  virtual const Backing& backing() = 0;
  // Readable when take() has something to do.
  virtual int descriptor() const = 0;
  // Takes what is there without waiting; each read is answered once, then or later. An error means
  // that the tier is gone.
  virtual Result<> take(const OnRead& on_read) = 0;
  // 0: the bytes are there; else the reader gets that error.
  virtual void answer(const Read& read, int error_number) = 0;
  // The file's bytes will not change any more: reads of it need not be asked about.
  virtual void on_complete(uint32_t file) = 0;
  // What this process of ours does to the files is never a read, though it may ask like one; 0:
  // there is none.
  virtual void exempt(pid_t process) = 0;
  // Ends the tier; open reads were answered.
  virtual void close() = 0;

  // In the hydrator, after fork: gives up what would keep readers waiting for a dead guardian, or
  // keeps what is needed for deny_all().
  virtual void become_hydrator() = 0;
  // In the hydrator, after the guardian's death: every read that waits and every later one gets
  // EIO. Returns when there can be none any more, if ever.
  virtual void deny_all() = 0;
};

// Makes the plan's tree and shows it. The map must outlive the front.
using MakeFront =
    std::function<Result<std::unique_ptr<Front>>(const HydratePlan& plan, const ChunkMap& map)>;

Result<std::unique_ptr<Front>> make_fanotify_front(const HydratePlan& plan, const ChunkMap& map);

}  // namespace trainyard::hydrate
