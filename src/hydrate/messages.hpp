// SPDX-License-Identifier: Apache-2.0
// What guardian and hydrator tell each other, one record per message of a SOCK_SEQPACKET pair.
// Both are the same program, so the records are plain memory.
#pragma once

#include <cstdint>

namespace trainyard::hydrate {

// To the hydrator: a read waits.
struct Demand {
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// To the guardian: the chunk map or a file's status has changed.
struct Note {
  enum class Kind : uint32_t { filled, complete, failed };
  Kind kind = Kind::filled;
  uint32_t file = 0;
};

}  // namespace trainyard::hydrate
