// SPDX-License-Identifier: Apache-2.0
// One file for the parts of an upload: part n is at (n - 1) * stride, so that the file becomes the
// object as it is. Each place, a slot, is handed out once and has one writer ever: bytes that a row
// names are never written again. Internal to objects/.
//
// It is known in memory only. What it does not know, of before a restart or of too many uploads
// ago, gets no slots any more: new parts go to files of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/file.hpp"
#include "base/guarded.hpp"

namespace trainyard::objects {

// Where the part begins in a file of this stride, in bytes; 0 without one.
constexpr uint64_t offset_of_part(int number, uint64_t stride) {
  return static_cast<uint64_t>(number - 1) * stride;
}

// Must outlive its leases. Thread-safe.
class PartSlots {
 public:
  // At most so many uploads are known; the oldest without writers is forgotten first.
  explicit PartSlots(fs::path folder, size_t most_uploads = 1024)
      : folder_(std::move(folder)), most_(most_uploads) {}

  // A slot while its writer may write to it, until the part's row is committed.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    int fd() const { return fd_.get(); }
    const std::string& file() const { return file_; }
    uint64_t stride() const { return stride_; }

   private:
    friend class PartSlots;
    Lease(PartSlots& slots, std::string upload) : slots_(&slots), upload_(std::move(upload)) {}

    PartSlots* slots_;  // null: moved away
    std::string upload_;
    std::string file_;
    uint64_t stride_ = 0;
    Fd fd_;
  };

  // Of an upload that is made into an object in place: no slot has a writer, none will, and nobody
  // else does the same.
  class Closing {
   public:
    Closing(Closing&& other) noexcept;
    Closing& operator=(Closing&&) = delete;
    ~Closing();

   private:
    friend class PartSlots;
    Closing(PartSlots& slots, std::string upload) : slots_(&slots), upload_(std::move(upload)) {}

    PartSlots* slots_;  // null: moved away
    std::string upload_;
  };

  // The upload gets slots from now on. Its id was never used before.
  void open(const std::string& upload);

  // nullopt: a file of its own, for the slot was handed out before, the upload is not open, or a
  // part of this length has no place there. The first to fit decides on the stride.
  std::optional<Lease> take(const std::string& upload, int number, uint64_t size_bytes);

  // nullopt: somebody writes to a slot or closes it, too. Else there are no more slots.
  std::optional<Closing> close(const std::string& upload);

  // The upload is gone: so is its file, which writers may still have open.
  void end(const std::string& upload);

 private:
  struct Uploaded {
    std::string file;
    uint64_t stride = 0;      // 0: not known yet
    std::vector<bool> taken;  // by number
    size_t writers = 0;
    uint64_t begun = 0;  // counts up
  };
  struct Table {
    std::unordered_map<std::string, Uploaded> open;
    std::unordered_set<std::string> closing;
    uint64_t begun = 0;
  };

  static bool hand_out(Uploaded& upload, int number, uint64_t size_bytes);
  void release(const std::string& upload);

  const fs::path folder_;
  const size_t most_;
  Guarded<Table> table_;
};

}  // namespace trainyard::objects
