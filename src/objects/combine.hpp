// SPDX-License-Identifier: Apache-2.0
// The checksum of a whole from the checksums of its parts.
#pragma once

#include <string>
#include <vector>

#include "objects/checksum.hpp"

namespace trainyard::objects {

struct PartDigest {
  std::string digest;  // raw
  uint64_t size = 0;
};

// CRCs combine without reading the bytes again (zlib's crc32_combine, for any width). Requires a
// CRC.
std::string combine_crcs(ChecksumAlgorithm algorithm, const std::vector<PartDigest>& parts);

bool is_crc(ChecksumAlgorithm algorithm);

}  // namespace trainyard::objects
