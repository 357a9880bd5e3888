// SPDX-License-Identifier: Apache-2.0
#include "objects/combine.hpp"

#include "base/check.hpp"

namespace trainyard::objects {

namespace {

// Polynomials over GF(2) modulo the CRC's, reflected: the highest bit is x^0.
template <class Word>
class Field {
 public:
  explicit Field(Word polynomial) : polynomial_(polynomial) {}

  Word multiply(Word a, Word b) const {
    Word product = 0;
    for (Word bit = kOne; bit != 0; bit = static_cast<Word>(bit >> 1)) {
      if (a & bit) product ^= b;
      b = static_cast<Word>(b & 1 ? (b >> 1) ^ polynomial_ : b >> 1);
    }
    return product;
  }

  // x^(8 * count)
  Word power_of_bytes(uint64_t count) const {
    Word result = kOne;
    Word square = kOne >> 8;  // x^8
    for (; count > 0; count >>= 1, square = multiply(square, square)) {
      if (count & 1) result = multiply(result, square);
    }
    return result;
  }

 private:
  static constexpr Word kOne = static_cast<Word>(Word{1} << (sizeof(Word) * 8 - 1));
  Word polynomial_;
};

template <class Word>
std::string combine(Word polynomial, const std::vector<PartDigest>& parts) {
  Field<Word> field(polynomial);
  Word whole = 0;
  for (const PartDigest& part : parts) {
    Word crc = 0;
    for (char byte : part.digest)
      crc = static_cast<Word>(crc << 8 | static_cast<unsigned char>(byte));
    whole = field.multiply(field.power_of_bytes(part.size), whole) ^ crc;
  }
  std::string digest;
  for (int shift = sizeof(Word) * 8 - 8; shift >= 0; shift -= 8) {
    digest += static_cast<char>(whole >> shift);
  }
  return digest;
}

}  // namespace

bool is_crc(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::crc32 || algorithm == ChecksumAlgorithm::crc32c ||
         algorithm == ChecksumAlgorithm::crc64nvme;
}

std::string combine_crcs(ChecksumAlgorithm algorithm, const std::vector<PartDigest>& parts) {
  CHECK(is_crc(algorithm), "hashes do not combine");
  if (algorithm == ChecksumAlgorithm::crc32) return combine<uint32_t>(0xedb88320, parts);
  if (algorithm == ChecksumAlgorithm::crc32c) return combine<uint32_t>(0x82f63b78, parts);
  return combine<uint64_t>(0x9a6c9329ac4bc9b5, parts);
}

}  // namespace trainyard::objects
