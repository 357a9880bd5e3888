// SPDX-License-Identifier: Apache-2.0
// The frames of TFRecord files: each record is its length (8 bytes, little-endian), a masked
// CRC-32C of those bytes, the data, and a masked CRC-32C of the data.
// https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainyard::transfer {

inline constexpr size_t kRecordHeaderBytes = 12;

struct BrokenRecord {
  uint64_t index = 0;   // from 0
  uint64_t offset = 0;  // of its first byte
  std::string what;     // "its data do not match their checksum"
};

// Sees the records while they pass. Called from RecordFrames::add and finish.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  // A record begins whose length is right. What it claims may be more than the file has.
  virtual void begin(uint64_t index, uint64_t offset, uint64_t length) = 0;
  virtual void data(std::string_view piece) = 0;
  virtual void end() = 0;  // all its data came, and match their checksum
  virtual void broken(const BrokenRecord& record) = 0;
};

// Whether 12 bytes are a length and its checksum; of other data one in 2^32.
bool is_record_header(std::string_view bytes);

// One record, as it lies in a file.
std::string framed_record(std::string_view data);

// Takes a file's bytes in order, in pieces of any size; keeps none of them.
class RecordFrames {
 public:
  // Without a header that is right at its very beginning a file is not taken for one of records.
  explicit RecordFrames(RecordSink& sink) : sink_(sink) {}

  void add(std::string_view bytes);
  // The end of the bytes, or of what can be read of them: `what` is wrong with the rest.
  void finish(std::string_view what = "");

  bool is_of_records() const { return is_of_records_; }
  // No later byte can change anything: no records, or none that can be found any more.
  bool is_lost() const { return state_ == State::lost; }
  // Why it is not of records; empty where it is, or has no bytes.
  const std::string& why_not() const { return why_not_; }

 private:
  enum class State { header, data, checksum, lost };

  std::string_view collect(std::string_view& bytes, size_t count);
  void take_header(std::string_view header);
  void take_data(std::string_view piece);
  void take_checksum(std::string_view checksum);
  void report(std::string_view what);

  RecordSink& sink_;
  State state_ = State::header;
  bool is_of_records_ = false;
  std::string why_not_;
  uint64_t index_ = 0;  // of the record that is read now
  uint64_t begin_ = 0;  // of its first byte
  uint64_t at_ = 0;     // bytes taken so far
  uint64_t left_ = 0;   // of its data
  uint32_t crc_ = 0;    // of its data so far
  std::array<char, kRecordHeaderBytes> held_{};
  size_t held_bytes_ = 0;  // of a header or checksum that is cut by the end of a piece
};

}  // namespace trainyard::transfer
