// SPDX-License-Identifier: Apache-2.0
// Says of a file's bytes, while they pass, whether they are TFRecords and whether each is whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "transfer/inflater.hpp"
#include "transfer/record_frames.hpp"

namespace trainyard::transfer {

enum class RecordCompression { none, gzip, zlib };

std::string_view name(RecordCompression compression);  // "none", "gzip", "zlib"

// A file is one of TFRecords when its first 12 bytes, or the first 12 that it unpacks to, are a
// length and its checksum; the name does not matter. What is wrong behind them is damage.
// Offsets are those of the unpacked bytes, as TensorFlow counts them.
struct RecordVerdict {
  bool is_tfrecord = false;
  RecordCompression compression = RecordCompression::none;
  uint64_t records = 0;         // whole ones
  uint64_t largest_bytes = 0;   // of a whole record's data
  uint64_t payload_bytes = 0;   // of all whole records' data
  uint64_t broken_records = 0;  // counted as far as records can be found
  std::optional<BrokenRecord> first_broken;
  // Why the first bytes are no record's; empty where they are, or where there are none.
  std::string why_not;
};

// Whether people call such a file TFRecords: "x.tfrecord", "x.tfrecords.gz",
// "x.tfrecord-00000-of-00012". One that is none is worth a word, and not more.
bool has_record_name(std::string_view name);

// Takes a file's bytes in order, in pieces of any size. Needs half a megabyte at most, also for a
// record that claims to be larger than the file. Not thread-safe.
class RecordScanner {
 public:
  // The sink, if any, must outlive the scanner.
  explicit RecordScanner(RecordSink* sink = nullptr);
  ~RecordScanner();
  RecordScanner(const RecordScanner&) = delete;
  RecordScanner& operator=(const RecordScanner&) = delete;

  void add(std::string_view bytes);
  // After the last byte; call it once.
  RecordVerdict finish();

  // False: no later byte can change the verdict; it is no TFRecord file, or no record can be found
  // behind a broken one. There is no need to read on.
  bool wants_more() const;
  // Known after some bytes; nothing before.
  bool is_tfrecord() const { return frames_.is_of_records(); }

 private:
  class Counter;

  void begin(std::string_view first);
  void feed(std::string_view bytes);

  std::unique_ptr<Counter> counter_;
  RecordFrames frames_;
  std::string first_bytes_;  // until there are enough to tell
  bool has_begun_ = false;
  bool is_damaged_ = false;  // the compressed stream
  RecordCompression compression_ = RecordCompression::none;
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace trainyard::transfer
