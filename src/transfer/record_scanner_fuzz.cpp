// SPDX-License-Identifier: Apache-2.0
// Files of anybody's making: the verdict does not depend on how the bytes are cut, and what is
// called whole can be walked through. The first byte says how they are cut.
#include <cstring>

#include "base/check.hpp"
#include "transfer/record_scanner.hpp"

namespace {

using namespace trainyard::transfer;

struct Adding : RecordSink {
  void begin(uint64_t, uint64_t offset, uint64_t length) override {
    CHECK(offset == next, "records lie one behind the other");
    next = offset + kRecordHeaderBytes + length + 4;
    left = length;
  }
  void data(std::string_view piece) override {
    CHECK(piece.size() <= left, "no more data than announced");
    left -= piece.size();
  }
  void end() override { CHECK(left == 0, "all data came"); }
  void broken(const BrokenRecord&) override {}
  uint64_t next = 0;
  uint64_t left = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Adding adding;
  RecordScanner whole(&adding);
  whole.add(bytes);
  RecordScanner cut;
  size_t piece = data[0] % 64 + 1;
  for (size_t at = 0; at < bytes.size(); at += piece) cut.add(bytes.substr(at, piece));
  RecordVerdict a = whole.finish();
  RecordVerdict b = cut.finish();
  CHECK(a.is_tfrecord == b.is_tfrecord && a.records == b.records && a.why_not == b.why_not &&
            a.payload_bytes == b.payload_bytes && a.broken_records == b.broken_records,
        "the same verdict");
  CHECK(a.first_broken.has_value() == b.first_broken.has_value(), "the same verdict");
  CHECK(!a.first_broken || a.first_broken->what == b.first_broken->what, "the same fault");
  return 0;
}
