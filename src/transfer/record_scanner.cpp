// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_scanner.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::transfer {

std::string_view name(RecordCompression compression) {
  constexpr std::array<std::string_view, 3> kNames = {"none", "gzip", "zlib"};
  return kNames[static_cast<size_t>(compression)];
}

bool has_record_name(std::string_view name) {
  for (std::string_view ending : {".gz", ".gzip", ".zlib", ".zz"}) {
    if (name.ends_with(ending)) name.remove_suffix(ending.size());
  }
  // Of a shard: "-00000-of-00012".
  size_t of = name.rfind("-of-");
  if (of != name.npos && parse_unsigned(name.substr(of + 4))) {
    size_t dash = name.rfind('-', of - (of > 0));
    if (dash != name.npos && parse_unsigned(name.substr(dash + 1, of - dash - 1))) {
      name = name.substr(0, dash);
    }
  }
  return name.ends_with("tfrecord") || name.ends_with("tfrecords");
}

class RecordScanner::Counter : public RecordSink {
 public:
  explicit Counter(RecordSink* next) : next_(next) {}

  void begin(uint64_t index, uint64_t offset, uint64_t length) override {
    length_ = length;
    if (next_ != nullptr) next_->begin(index, offset, length);
  }
  void data(std::string_view piece) override {
    if (next_ != nullptr) next_->data(piece);
  }
  void end() override {
    ++verdict.records;
    verdict.payload_bytes += length_;
    verdict.largest_bytes = std::max(verdict.largest_bytes, length_);
    if (next_ != nullptr) next_->end();
  }
  void broken(const BrokenRecord& record) override {
    if (verdict.broken_records++ == 0) verdict.first_broken = record;
    if (next_ != nullptr) next_->broken(record);
  }

  RecordVerdict verdict;

 private:
  RecordSink* next_;
  uint64_t length_ = 0;
};

RecordScanner::RecordScanner(RecordSink* sink)
    : counter_(std::make_unique<Counter>(sink)), frames_(*counter_) {}

RecordScanner::~RecordScanner() = default;

bool RecordScanner::wants_more() const {
  return !frames_.is_lost() && !is_damaged_;
}

void RecordScanner::add(std::string_view bytes) {
  if (has_begun_) return feed(bytes);
  size_t taken = std::min(bytes.size(), kRecordHeaderBytes - first_bytes_.size());
  first_bytes_ += bytes.substr(0, taken);
  if (first_bytes_.size() < kRecordHeaderBytes) return;
  begin(first_bytes_);
  feed(bytes.substr(taken));
}

// The order matters: a length may look like the header of zlib (376 is 78 01) or gzip, and no
// compressed stream begins with a length and its checksum, but by one chance in 2^32.
void RecordScanner::begin(std::string_view first) {
  has_begun_ = true;
  if (!is_record_header(first)) {
    if (Inflater::is_header(Inflater::Format::gzip, first)) {
      compression_ = RecordCompression::gzip;
      inflater_ = std::make_unique<Inflater>(Inflater::Format::gzip);
    } else if (Inflater::is_header(Inflater::Format::zlib, first)) {
      compression_ = RecordCompression::zlib;
      inflater_ = std::make_unique<Inflater>(Inflater::Format::zlib);
    }
  }
  feed(first);
}

void RecordScanner::feed(std::string_view bytes) {
  if (!wants_more()) return;
  if (!inflater_) return frames_.add(bytes);
  std::string fault = inflater_->add(bytes, [&](std::string_view unpacked) {
    frames_.add(unpacked);
    return !frames_.is_lost();
  });
  if (fault.empty()) return;
  is_damaged_ = true;
  frames_.finish(fault);
}

RecordVerdict RecordScanner::finish() {
  if (!has_begun_ && !first_bytes_.empty()) begin(first_bytes_);
  if (wants_more()) frames_.finish(inflater_ ? inflater_->finish() : "");
  RecordVerdict verdict = std::move(counter_->verdict);
  verdict.is_tfrecord = frames_.is_of_records();
  verdict.why_not = frames_.why_not();
  if (verdict.is_tfrecord) verdict.compression = compression_;
  return verdict;
}

}  // namespace trainyard::transfer
