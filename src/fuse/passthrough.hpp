// SPDX-License-Identifier: Apache-2.0
// FUSE passthrough (Linux 6.9): reads of an open file go to a backing file and never reach us.
// libfuse has it since 3.17; what it takes of the protocol (the kernel's include/uapi/linux/fuse.h)
// is here, for older ones. The kernel wants CAP_SYS_ADMIN in the initial user namespace.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>

namespace trainyard::fuse {

// Asks for it in the answer to INIT that libfuse is about to send. A kernel that does not know it
// does not look. False: this is no such answer.
bool ask_for_passthrough(std::span<iovec> answer);

// The answer to OPEN of a file that is to be read through its backing file, for fuse_reply_buf.
struct PassedOpen {
  uint64_t handle = 0;
  uint32_t flags = 0;
  int32_t backing_id = 0;
};
PassedOpen passed_open(int32_t backing_id);

// How files are open. All opens of a file at one time are of one kind, or the kernel gives EIO: a
// file that was opened in the ordinary way, through the page cache, stays so until all have closed
// it, and its backing is known to the kernel from the first open to the last close.
class OpenFiles {
 public:
  // The id of the file's backing; 0 where the kernel takes none.
  using Register = std::function<int32_t(uint32_t file)>;

  // One more: the id of its backing, 0 for the ordinary way. `add_backing` is null for files that
  // may not be passed yet.
  int32_t open(uint32_t file, const Register& add_backing);
  // One less; the id that is not needed any more, or 0.
  int32_t close(uint32_t file);

  size_t size() const { return files_.size(); }

 private:
  struct Open {
    uint64_t count = 0;
    int32_t backing_id = 0;
  };
  std::unordered_map<uint32_t, Open> files_;
};

// Makes an open file a backing of this connection, `device` being our end of it; 0 and errno where
// the kernel does not.
int32_t add_backing(int device, int file);
void remove_backing(int device, int32_t backing_id);

}  // namespace trainyard::fuse
