// SPDX-License-Identifier: Apache-2.0
#include "objects/checksum.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/combine.hpp"

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

}  // namespace trainyard::objects
