// SPDX-License-Identifier: Apache-2.0
#include "objects/checksum.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/combine.hpp"
#include "objects/crc64.hpp"

namespace trainyard::objects {

namespace {

std::string digest_of(ChecksumAlgorithm algorithm, std::string_view bytes, size_t piece) {
  auto digest = make_digest(algorithm);
  for (size_t at = 0; at < bytes.size(); at += piece) digest->add(bytes.substr(at, piece));
  return digest->finish();
}

}  // namespace

// The check values of the CRC catalogue (reveng) and of FIPS 180, over "123456789".
TEST(Checksum, known_values) {
  auto hex = [](ChecksumAlgorithm algorithm) {
    return to_hex(digest_of(algorithm, "123456789", 4));
  };
  EXPECT_EQ(hex(ChecksumAlgorithm::crc32), "cbf43926");
  EXPECT_EQ(hex(ChecksumAlgorithm::crc32c), "e3069283");
  EXPECT_EQ(hex(ChecksumAlgorithm::crc64nvme), "ae8b14860a799888");
  EXPECT_EQ(hex(ChecksumAlgorithm::sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
}

TEST(Checksum, crcs_of_parts_combine_to_that_of_the_whole) {
  std::string whole = random_bytes(100'003);
  for (auto algorithm : kChecksumAlgorithms) {
    if (!is_crc(algorithm)) continue;
    std::vector<PartDigest> parts;
    for (auto [from, to] : {std::pair{0, 1}, {1, 65537}, {65537, 65537}, {65537, 100'003}}) {
      std::string_view part(whole.data() + from, static_cast<size_t>(to - from));
      parts.push_back({digest_of(algorithm, part, 1000), part.size()});
    }
    EXPECT_EQ(combine_crcs(algorithm, parts), digest_of(algorithm, whole, 777))
        << api_name(algorithm);
  }
}

TEST(Checksum, every_way_to_crc64_gives_what_the_table_gives) {
  std::string bytes = random_bytes(70'000);
  std::minstd_rand random(7);
  std::vector<size_t> lengths;
  for (size_t length = 0; length < 700; ++length) lengths.push_back(length);
  for (int i = 0; i < 300; ++i) lengths.push_back(random() % 69'000);
  for (Crc64Way way : {Crc64Way::carryless, Crc64Way::wide, Crc64Way::best}) {
    if (!is_available(way)) continue;
    for (size_t length : lengths) {
      std::string_view piece = std::string_view(bytes).substr(random() % 130, length);
      uint64_t value = uint64_t{random()} << 32 ^ random();
      ASSERT_EQ(update_crc64(value, piece, way), update_crc64(value, piece, Crc64Way::table))
          << length;
    }
  }
}

}  // namespace trainyard::objects
