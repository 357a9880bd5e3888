// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_frames.hpp"

#include <isa-l/crc.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace trainyard::transfer {

namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kChecksumBytes = 4;
constexpr uint32_t kNoBytes = 0xffffffff;  // where CRC-32C begins
static_assert(std::endian::native == std::endian::little);

template <class Word>
Word word_at(std::string_view bytes) {
  Word word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

// At most 1 GiB at once: isa-l counts in int.
uint32_t crc_with(uint32_t crc, std::string_view bytes) {
  // The buffer is only read; the declaration lacks a const.
  auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  return crc32_iscsi(data, static_cast<int>(bytes.size()), crc);
}

// TensorFlow rotates checksums and adds a constant, so that those of data that hold checksums
// themselves stay good.
uint32_t masked(uint32_t crc) {
  constexpr uint32_t kDelta = 0xa282ead8;
  return std::rotr(~crc, 15) + kDelta;
}

}  // namespace

bool is_record_header(std::string_view bytes) {
  return bytes.size() >= kRecordHeaderBytes &&
         word_at<uint32_t>(bytes.substr(kLengthBytes)) ==
             masked(crc_with(kNoBytes, bytes.substr(0, kLengthBytes)));
}

std::string framed_record(std::string_view data) {
  auto word = [](auto value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  std::string length = word(uint64_t{data.size()});
  return length + word(masked(crc_with(kNoBytes, length))) + std::string(data) +
         word(masked(crc_with(kNoBytes, data)));
}

void RecordFrames::add(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::header:
        if (auto header = collect(bytes, kRecordHeaderBytes); !header.empty()) take_header(header);
        break;
      case State::data: {
        std::string_view piece = bytes.substr(0, std::min<uint64_t>(left_, 1 << 30));
        bytes.remove_prefix(piece.size());
        take_data(piece);
        break;
      }
      case State::checksum:
        if (auto sum = collect(bytes, kChecksumBytes); !sum.empty()) take_checksum(sum);
        break;
      case State::lost:
        return;
    }
  }
}

// `count` bytes off the front of `bytes`, with those of earlier pieces; empty: more have to come.
std::string_view RecordFrames::collect(std::string_view& bytes, size_t count) {
  std::string_view whole;
  if (held_bytes_ == 0 && bytes.size() >= count) {
    whole = bytes.substr(0, count);
    bytes.remove_prefix(count);
  } else {
    size_t taken = std::min(bytes.size(), count - held_bytes_);
    std::memcpy(held_.data() + held_bytes_, bytes.data(), taken);
    bytes.remove_prefix(taken);
    held_bytes_ += taken;
    if (held_bytes_ < count) return {};
    held_bytes_ = 0;
    whole = {held_.data(), count};
  }
  at_ += count;
  return whole;
}

void RecordFrames::take_header(std::string_view header) {
  if (!is_record_header(header)) return report("its length does not match its checksum");
  is_of_records_ = true;
  left_ = word_at<uint64_t>(header);
  crc_ = kNoBytes;
  state_ = left_ > 0 ? State::data : State::checksum;
  sink_.begin(index_, begin_, left_);
}

void RecordFrames::take_data(std::string_view piece) {
  crc_ = crc_with(crc_, piece);
  sink_.data(piece);
  at_ += piece.size();
  left_ -= piece.size();
  if (left_ == 0) state_ = State::checksum;
}

void RecordFrames::take_checksum(std::string_view checksum) {
  if (word_at<uint32_t>(checksum) == masked(crc_)) {
    sink_.end();
  } else {
    // Its length was right, so the next record is where it should be.
    sink_.broken({index_, begin_, "its data do not match their checksum"});
  }
  ++index_;
  begin_ = at_;
  state_ = State::header;
}

// The records behind this place cannot be found.
void RecordFrames::report(std::string_view what) {
  state_ = State::lost;
  if (is_of_records_) {
    sink_.broken({index_, begin_, std::string(what)});
  } else {
    why_not_ = what;
  }
}

void RecordFrames::finish(std::string_view what) {
  if (state_ == State::lost) return;
  if (!what.empty()) return report(what);
  if (state_ == State::data) return report("the file ends within its data");
  if (state_ == State::checksum) return report("the file ends within its checksum");
  if (held_bytes_ > 0) report("the file ends within its header");
}

}  // namespace trainyard::transfer
