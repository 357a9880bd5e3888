// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_scanner.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

// window_bits: 15 makes zlib's format, 31 gzip.
std::string packed(const std::string& bytes, int window_bits) {
  z_stream stream{};
  CHECK(::deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib");
  std::string result(::deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  CHECK(::deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib");
  result.resize(stream.total_out);
  ::deflateEnd(&stream);
  return result;
}

std::string gzip(const std::string& bytes) {
  return packed(bytes, 31);
}

std::string zlib(const std::string& bytes) {
  return packed(bytes, 15);
}

std::string text_of(const RecordVerdict& verdict) {
  if (!verdict.is_tfrecord) return "no TFRecords: " + verdict.why_not;
  std::string text = fmt::format("{} {} records, largest {}, {} bytes", name(verdict.compression),
                                 verdict.records, verdict.largest_bytes, verdict.payload_bytes);
  if (!verdict.first_broken) return text;
  return fmt::format("{}, {} broken, {} at {}: {}", text, verdict.broken_records,
                     verdict.first_broken->index, verdict.first_broken->offset,
                     verdict.first_broken->what);
}

std::string verdict_on(std::string_view bytes) {
  RecordScanner scanner;
  scanner.add(bytes);
  return text_of(scanner.finish());
}

std::string in_pieces(std::string_view bytes, std::mt19937& random, size_t most) {
  RecordScanner scanner;
  std::uniform_int_distribution<size_t> size(0, most);
  while (!bytes.empty()) {
    std::string piece(bytes.substr(0, size(random)));  // a copy: nothing may be kept of it
    scanner.add(piece);
    bytes.remove_prefix(piece.size());
  }
  return text_of(scanner.finish());
}

std::string random_records(std::mt19937& random, size_t count, size_t most) {
  std::string bytes;
  std::uniform_int_distribution<size_t> size(0, most);
  std::uniform_int_distribution<int> letter('a', 'f');  // so that it can be packed
  for (size_t i = 0; i < count; ++i) {
    std::string data(size(random), '\0');
    for (char& c : data) c = static_cast<char>(letter(random));
    bytes += framed_record(data);
  }
  return bytes;
}

std::string flipped(std::string bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

const std::string kThree = framed_record("first") + framed_record("") + framed_record("third");

}  // namespace

TEST(RecordScanner, frames_are_those_of_tensorflow) {
  // As TensorFlow 2.19 writes them.
  EXPECT_EQ(to_hex(kThree),
            "0500000000000000eab2043e666972737455ff23e5000000000000000029039807d8ea82a2050000"
            "0000000000eab2043e74686972648cfd1075");
}

TEST(RecordScanner, whole_files_are_counted) {
  EXPECT_EQ(verdict_on(kThree), "none 3 records, largest 5, 10 bytes");
  EXPECT_EQ(verdict_on(gzip(kThree)), "gzip 3 records, largest 5, 10 bytes");
  EXPECT_EQ(verdict_on(zlib(kThree)), "zlib 3 records, largest 5, 10 bytes");
  EXPECT_EQ(verdict_on(gzip(kThree) + gzip("") + gzip(kThree)),
            "gzip 6 records, largest 5, 20 bytes");
}

TEST(RecordScanner, other_files_are_none_whatever_they_hold) {
  for (const std::string& bytes :
       {std::string(), std::string(1, '\0'), std::string(100, '\0'), std::string("a,b\n1,2\n3,4\n"),
        gzip("a,b\n1,2\n3,4\n5,6\n"), gzip(""), zlib("hello hello hello"), zlib(""),
        gzip(gzip(kThree)), std::string("\x1f\x8b\x08"),
        std::string("\x1f\x8b\x08\x00garbage here", 16),
        std::string("\x78\x9cgarbage, as much as it takes"), "x" + kThree}) {
    EXPECT_EQ(verdict_on(bytes).substr(0, 13), "no TFRecords:") << to_hex(bytes);
  }
}

// 376 is 78 01 and so on, the header of zlib; 0x088b1f that of gzip.
TEST(RecordScanner, lengths_that_look_like_packed_data_are_lengths) {
  for (size_t size : {0x0178, 0x5e78, 0x9c78, 0xda78, 0x088b1f}) {
    std::string bytes = framed_record(std::string(size, 'x'));
    EXPECT_EQ(verdict_on(bytes), fmt::format("none 1 records, largest {0}, {0} bytes", size));
  }
}

TEST(RecordScanner, early_ends_are_found) {
  for (size_t size = kRecordHeaderBytes; size < kThree.size(); ++size) {
    bool is_boundary = size == 21 || size == 37;
    std::string verdict = verdict_on(kThree.substr(0, size));
    EXPECT_EQ(verdict.find("the file ends within its ") == verdict.npos, is_boundary) << verdict;
  }
  for (const std::string& bytes : {gzip(kThree), zlib(kThree)}) {
    std::string verdict = verdict_on(bytes.substr(0, bytes.size() - 1));
    EXPECT_NE(verdict.find("data end badly: the file ends within them"), verdict.npos) << verdict;
  }
}

TEST(RecordScanner, what_follows_packed_data_is_damage) {
  EXPECT_NE(verdict_on(gzip(kThree) + "more than nothing").find("3 at 58: its gzip data end badly"),
            std::string::npos);
  EXPECT_NE(verdict_on(zlib(kThree) + "more").find("3 at 58: bytes follow"), std::string::npos);
}

TEST(RecordScanner, records_behind_broken_data_are_still_counted) {
  std::string bytes = flipped(kThree, 12 * 8);
  EXPECT_EQ(verdict_on(bytes + flipped(kThree, 12 * 8)),
            "none 4 records, largest 5, 10 bytes, 2 broken, 0 at 0: its data do not match their "
            "checksum");
}

TEST(RecordScanner, a_length_beyond_all_memory_is_an_early_end) {
  for (uint64_t length : {uint64_t{1} << 60, ~uint64_t{0}}) {
    std::string words(reinterpret_cast<const char*>(&length), 8);
    // The checksum of a length, taken from a record with those bytes as its data.
    std::string framed = framed_record(words);
    std::string header = words + framed.substr(framed.size() - 4);
    EXPECT_EQ(verdict_on(kThree + header + std::string(1 << 20, 'x')),
              "none 3 records, largest 5, 10 bytes, 1 broken, 3 at 58: the file ends within its "
              "data");
  }
}

TEST(RecordScanner, the_verdict_is_the_same_however_the_bytes_are_cut) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = random_records(random, round % 20, round % 3 == 0 ? 5000 : 20);
    if (round % 4 == 1) bytes = gzip(bytes);
    if (round % 4 == 2) bytes = zlib(bytes);
    if (round % 4 == 3) bytes = gzip(bytes) + gzip(random_records(random, 3, 100)) + gzip("");
    if (round % 5 == 4 && !bytes.empty()) bytes = flipped(bytes, random() % (bytes.size() * 8));
    if (round % 7 == 6) bytes.resize(bytes.size() - bytes.size() / 3);
    std::string whole = verdict_on(bytes);
    for (size_t most : {1, 13, 300, 5000}) {
      // Pieces of nothing, too.
      EXPECT_EQ(in_pieces(bytes, random, most), whole);
    }
  }
}

TEST(RecordScanner, every_flipped_bit_of_plain_records_is_found) {
  for (size_t bit = 0; bit < kThree.size() * 8; ++bit) {
    std::string verdict = verdict_on(flipped(kThree, bit));
    bool is_first_header = bit / 8 < kRecordHeaderBytes;
    EXPECT_EQ(verdict.starts_with("no TFRecords: its length"), is_first_header) << bit;
    EXPECT_EQ(verdict.find("broken") != verdict.npos, !is_first_header) << bit << verdict;
  }
}

// Those of a gzip header that say nothing about the data (time, system) may differ, and so may the
// bits that fill the last byte of the data; all else is found, or the file no longer unpacks to
// anything like records.
TEST(RecordScanner, every_flipped_bit_of_packed_records_is_found_or_means_nothing) {
  std::mt19937 random(3);
  std::string records = random_records(random, 10, 60);
  for (const std::string& bytes : {gzip(records), zlib(records)}) {
    size_t unseen = 0;
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string verdict = verdict_on(flipped(bytes, bit));
      if (verdict == verdict_on(bytes)) {
        ++unseen;
        // Bytes 4 to 9: time, how hard it was tried, system. Bit 0 of byte 3: "it is text".
        size_t at = bit / 8;
        bool is_padding = at == bytes.size() - (bytes[0] == '\x1f' ? 8 : 4) - 1;
        EXPECT_TRUE((at >= 4 && at <= 9) || bit == 3 * 8 || is_padding) << "bit " << bit;
      } else {
        EXPECT_TRUE(verdict.starts_with("no TFRecords") || verdict.find("broken") != verdict.npos);
      }
    }
    EXPECT_LT(unseen, bytes[0] == '\x1f' ? 49 + 8 : 8);
  }
}

TEST(RecordScanner, names_of_record_files_are_known) {
  for (const char* name : {"a.tfrecord", "b/c.tfrecords", "x.tfrecord.gz", "x.tfrecords.zlib",
                           "d/x.tfrecord-00000-of-00012", "data_tfrecord-00003-of-00012.gz"}) {
    EXPECT_TRUE(has_record_name(name)) << name;
  }
  for (const char* name : {"", "-of-1", "a-of-", "x.csv", "tfrecord/x.csv", "x-00000-of-00012"}) {
    EXPECT_FALSE(has_record_name(name)) << name;
  }
}

// What a sink sees, as text.
class Noting : public RecordSink {
 public:
  void begin(uint64_t index, uint64_t offset, uint64_t length) override {
    text += fmt::format("[{} {} {} ", index, offset, length);
  }
  void data(std::string_view piece) override { text += piece; }
  void end() override { text += "]"; }
  void broken(const BrokenRecord& record) override {
    text += fmt::format("!{} {}]", record.index, record.offset);
  }
  std::string text;
};

TEST(RecordScanner, a_sink_sees_places_and_data) {
  Noting noting;
  RecordScanner scanner(&noting);
  for (char c : gzip(flipped(kThree, 400) + kThree.substr(0, 14))) scanner.add({&c, 1});
  scanner.finish();
  EXPECT_EQ(noting.text, "[0 0 5 first][1 21 0 ][2 37 5 tiird!2 37][3 58 5 fi!3 58]");
}

}  // namespace trainyard::transfer
