// SPDX-License-Identifier: Apache-2.0
// fanotify's pre-content events, which C libraries older than the kernel (6.14) do not name yet.
// Values from include/uapi/linux/fanotify.h of Linux 6.14.
#pragma once

#include <sys/fanotify.h>

#include <cstdint>

namespace trainyard::hydrate {

inline constexpr unsigned kClassPreContent = 0x8;  // FAN_CLASS_PRE_CONTENT
inline constexpr uint64_t kPreAccess = 0x100000;   // FAN_PRE_ACCESS
inline constexpr uint8_t kRangeRecord = 6;         // FAN_EVENT_INFO_TYPE_RANGE

// struct fanotify_event_info_range
struct RangeRecord {
  uint8_t type;
  uint8_t pad1;
  uint16_t length;
  uint32_t pad2;
  uint64_t offset;
  uint64_t count;
};

// FAN_DENY_ERRNO: EIO, EAGAIN, ENOSPC, EBUSY, EDQUOT and EPERM only.
constexpr uint32_t deny_with(int error_number) {
  return 0x2u | (static_cast<uint32_t>(error_number) << 24);
}

}  // namespace trainyard::hydrate
