// SPDX-License-Identifier: Apache-2.0
// What is wrong with a TFRecord file on disk.
#pragma once

#include <optional>

#include "base/file.hpp"
#include "base/result.hpp"
#include "transfer/record_frames.hpp"

namespace trainyard::transfer {

// The first record that cannot be read; nullopt: all can. Gzip and zlib are unpacked, as TensorFlow
// does with a compression_type; offsets are then those of the unpacked bytes. A file that is no
// TFRecord file at all is broken at its first record.
Result<std::optional<BrokenRecord>> find_broken_record(const fs::path& file);

}  // namespace trainyard::transfer
