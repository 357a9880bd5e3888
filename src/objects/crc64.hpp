// SPDX-License-Identifier: Apache-2.0
// CRC-64/NVME, reflected polynomial 0x9a6c9329ac4bc9b5: S3's default checksum. isa-l has it from
// 2.31 on; Debian 12 ships 2.30. Internal to objects/.
#pragma once

#include <cstdint>
#include <string_view>

namespace trainyard::objects {

// How the arithmetic is done; `best` is the fastest that this CPU can.
enum class Crc64Way { table, carryless, wide, best };

// False where this CPU lacks the instructions.
bool is_available(Crc64Way way);

// The register after `bytes`; it begins as ~0 and its complement is the checksum. Requires a way
// that is available.
uint64_t update_crc64(uint64_t value, std::string_view bytes, Crc64Way way = Crc64Way::best);

}  // namespace trainyard::objects
