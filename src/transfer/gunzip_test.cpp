// SPDX-License-Identifier: Apache-2.0
#include "transfer/gunzip.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

#include "base/random.hpp"

namespace trainyard::transfer {
namespace {

std::string gzip(std::string_view bytes, int level = 6) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// What it inflates to, given in pieces of that size, or the error.
std::string inflated(std::string_view packed, size_t piece = 1 << 20) {
  std::string made;
  Gunzip gunzip;
  auto take = [&](std::string_view bytes) -> Result<> {
    made += bytes;
    return {};
  };
  for (size_t at = 0; at < packed.size(); at += piece) {
    auto done = gunzip.add(packed.substr(at, piece), take);
    if (!done) return done.error().message;
  }
  auto done = gunzip.finish();
  return done ? made : done.error().message;
}

TEST(Gunzip, inflates_members_in_pieces_of_any_size) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string whole;
    std::string packed;
    for (uint64_t member = random() % 4; member > 0; --member) {
      std::string bytes =
          random() % 3 == 0 ? std::string(random() % 900'000, 'x') : random_bytes(random() % 3000);
      whole += bytes;
      packed += gzip(bytes, static_cast<int>(random() % 10));
      if (random() % 3 == 0) packed.append(random() % 600, '\0');
    }
    EXPECT_EQ(inflated(packed, 1 + random() % 5000), whole) << round;
  }
}

TEST(Gunzip, takes_no_bytes_for_none) {
  EXPECT_EQ(inflated(""), "");
  EXPECT_EQ(inflated(gzip("")), "");
}

TEST(Gunzip, tells_where_the_damage_is) {
  std::string packed = gzip("some text that is long enough");
  EXPECT_EQ(inflated(packed.substr(0, packed.size() - 1)),
            fmt::format("damaged gzip: it ends at byte {}, within a member", packed.size() - 1));
  EXPECT_EQ(inflated("plain text"), "damaged gzip at byte 2: incorrect header check");
  EXPECT_EQ(inflated(packed + "tail"),
            fmt::format("damaged gzip at byte {}: incorrect header check", packed.size() + 2));
  packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);
  EXPECT_TRUE(inflated(packed).ends_with("incorrect data check")) << inflated(packed);
}

TEST(Gunzip, finds_every_cut) {
  std::string packed = gzip(random_bytes(100)) + gzip("abc");
  size_t first = gzip(random_bytes(100)).size();
  for (size_t cut = 1; cut < packed.size(); ++cut) {
    bool is_end_of_first = inflated(packed.substr(0, cut)).size() == 100;
    EXPECT_EQ(is_end_of_first, cut == first) << cut;
  }
}

}  // namespace
}  // namespace trainyard::transfer
