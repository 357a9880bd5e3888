// SPDX-License-Identifier: Apache-2.0
#include "fuse/passthrough.hpp"

#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>

namespace trainyard::fuse {

namespace {

// As protocol 7.40 has them; headers of older kernels do not.
struct AnswerHead {
  uint32_t length;
  int32_t error;
  uint64_t request;
};
struct InitAnswer {
  uint32_t major, minor, max_readahead, flags;
  uint16_t max_background, congestion_threshold;
  uint32_t max_write, time_gran;
  uint16_t max_pages, map_alignment;
  uint32_t flags2, max_stack_depth;
  uint32_t unused[6];
};
static_assert(sizeof(InitAnswer) == 64);

constexpr uint32_t kInitExt = 1u << 30;
constexpr uint32_t kPassthrough2 = 1u << (37 - 32);
constexpr uint32_t kMinor = 40;  // the first with passthrough
// One file system, the backing's, below this one, so that an overlayfs may still stand above it.
constexpr uint32_t kStackDepth = 1;

// Others of a read-only open the kernel refuses with this one.
constexpr uint32_t kOpenNoFlush = 1u << 5;
constexpr uint32_t kOpenPassthrough = 1u << 7;

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);
constexpr unsigned long kBackingClose = _IOW(229, 2, uint32_t);

}  // namespace

bool ask_for_passthrough(std::span<iovec> answer) {
  if (answer.size() != 2 || answer[0].iov_len != sizeof(AnswerHead)) return false;
  if (answer[1].iov_len != sizeof(InitAnswer)) return false;
  AnswerHead head{};
  std::memcpy(&head, answer[0].iov_base, sizeof head);
  if (head.error != 0) return false;
  InitAnswer init{};
  std::memcpy(&init, answer[1].iov_base, sizeof init);
  init.minor = std::max(init.minor, kMinor);
  init.flags |= kInitExt;
  init.flags2 |= kPassthrough2;
  init.max_stack_depth = kStackDepth;
  std::memcpy(answer[1].iov_base, &init, sizeof init);
  return true;
}

PassedOpen passed_open(int32_t backing_id) {
  static_assert(sizeof(PassedOpen) == 16);
  return {0, kOpenPassthrough | kOpenNoFlush, backing_id};
}

int32_t OpenFiles::open(uint32_t file, const Register& add_backing) {
  Open& open = files_[file];
  if (open.count == 0 && add_backing) open.backing_id = add_backing(file);
  ++open.count;
  return open.backing_id;
}

int32_t OpenFiles::close(uint32_t file) {
  auto found = files_.find(file);
  if (found == files_.end() || --found->second.count > 0) return 0;
  int32_t unneeded = found->second.backing_id;
  files_.erase(found);
  return unneeded;
}

int32_t add_backing(int device, int file) {
  BackingMap map{file, 0, 0};
  int id = ::ioctl(device, kBackingOpen, &map);
  return id > 0 ? id : 0;
}

void remove_backing(int device, int32_t backing_id) {
  auto id = static_cast<uint32_t>(backing_id);
  ::ioctl(device, kBackingClose, &id);
}

}  // namespace trainyard::fuse
