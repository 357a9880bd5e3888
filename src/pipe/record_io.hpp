// SPDX-License-Identifier: Apache-2.0
// RecordIO as SageMaker's Pipe mode wraps objects: a magic word, a word of length and flag, the
// data, zeros up to a multiple of 4 bytes; little-endian.
// https://mxnet.apache.org/versions/1.9.1/api/faq/recordio and dmlc/recordio.h.
//
// The flag (the upper 3 bits) is always 0, a whole record. dmlc's own writer cuts a record where
// the magic word stands in the data, drops the word, and its reader puts it back between parts. We
// do not: a pipe is read from its beginning, by lengths, so that the word in the data harms nobody,
// and PipeModeDataset refuses records of several parts. For the same reason a longer record cannot
// be split: every reader would find the magic word in it. dmlc's writer refuses those, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trainyard::pipe {

inline constexpr uint32_t kRecordIoMagic = 0xced7230a;
inline constexpr uint64_t kRecordIoLimit = uint64_t{1} << 29;  // a record is shorter

// `length` is below the limit.
inline std::string record_io_header(uint64_t length) {
  std::string header;
  for (uint64_t word : {uint64_t{kRecordIoMagic}, length}) {
    for (int shift = 0; shift < 32; shift += 8) {
      header += static_cast<char>(static_cast<unsigned char>(word >> shift));
    }
  }
  return header;
}

inline std::string_view record_io_padding(uint64_t length) {
  return std::string_view("\0\0\0", (4 - length % 4) % 4);
}

}  // namespace trainyard::pipe
