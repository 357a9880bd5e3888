// SPDX-License-Identifier: Apache-2.0
// TFRecord files: each record is its length (8 bytes, little-endian), a masked CRC-32C of those
// bytes, the data, and a masked CRC-32C of the data.
// https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::transfer {

struct BrokenRecord {
  uint64_t index = 0;   // from 0
  uint64_t offset = 0;  // of its first byte
  std::string what;     // "its data do not match their checksum"
};

// The first record that cannot be read; nullopt: all can. Gzip is unpacked, as TensorFlow does with
// compression_type="GZIP"; offsets are then those of the unpacked bytes. A file that is no TFRecord
// file at all is broken at its first record.
Result<std::optional<BrokenRecord>> find_broken_record(const fs::path& file);

}  // namespace trainyard::transfer
