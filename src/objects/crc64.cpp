// SPDX-License-Identifier: Apache-2.0
#include "objects/crc64.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "base/check.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace trainyard::objects {

namespace {

constexpr uint64_t kPolynomial = 0x9a6c9329ac4bc9b5;

using Tables = std::array<std::array<uint64_t, 256>, 8>;

const Tables& tables() {
  static const Tables kTables = [] {
    Tables made{};
    for (uint64_t byte = 0; byte < 256; ++byte) {
      uint64_t value = byte;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? kPolynomial : 0);
      made[0][byte] = value;
    }
    for (size_t i = 1; i < 8; ++i) {
      for (size_t byte = 0; byte < 256; ++byte) {
        uint64_t before = made[i - 1][byte];
        made[i][byte] = made[0][before & 0xff] ^ (before >> 8);
      }
    }
    return made;
  }();
  return kTables;
}

// Eight bytes a step ("slicing by 8", Kounavis and Berry, 2005).
uint64_t by_table(uint64_t value, const char* data, size_t left) {
  const Tables& slices = tables();
  static_assert(std::endian::native == std::endian::little);
  for (; left >= 8; data += 8, left -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, data, 8);
    word ^= value;
    value = 0;
    for (size_t i = 0; i < 8; ++i) value ^= slices[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; ++data, --left) {
    value = slices[0][(value ^ static_cast<unsigned char>(*data)) & 0xff] ^ (value >> 8);
  }
  return value;
}

#if defined(__x86_64__)

// Folding ("Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Gopal et al., 2009):
// 128 bits A that stand D bits before others are congruent to low(A) x^(D+64) + high(A) x^D at
// their place. A product of reflected words is one bit short, hence the exponents less one.
struct Fold {
  uint64_t low, high;
};

constexpr uint64_t power_of_x(int exponent) {
  uint64_t value = uint64_t{1} << 63;  // x^0
  for (int i = 0; i < exponent; ++i) value = value >> 1 ^ (value & 1 ? kPolynomial : 0);
  return value;
}

constexpr Fold fold_over(int bits) {
  return {power_of_x(bits + 63), power_of_x(bits - 1)};
}

constexpr Fold kBy128 = fold_over(128);
constexpr Fold kBy512 = fold_over(512);
constexpr Fold kBy2048 = fold_over(2048);

#define TRAINYARD_CARRYLESS __attribute__((target("pclmul,sse4.1")))
#define TRAINYARD_WIDE __attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.1")))

TRAINYARD_CARRYLESS inline __m128i load(const char* data) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
}

TRAINYARD_CARRYLESS inline __m128i constants(Fold fold) {
  return _mm_set_epi64x(static_cast<int64_t>(fold.high), static_cast<int64_t>(fold.low));
}

TRAINYARD_CARRYLESS inline __m128i folded(__m128i value, __m128i by, __m128i onto) {
  __m128i low = _mm_clmulepi64_si128(value, by, 0x00);
  __m128i high = _mm_clmulepi64_si128(value, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

// The register after what `lanes` stand for, in order, and after `data`.
TRAINYARD_CARRYLESS uint64_t finish(const __m128i* lanes, size_t count, const char* data,
                                    size_t left) {
  __m128i by = constants(kBy128);
  __m128i value = lanes[0];
  for (size_t i = 1; i < count; ++i) value = folded(value, by, lanes[i]);
  for (; left >= 16; data += 16, left -= 16) value = folded(value, by, load(data));
  std::array<char, 16> last;
  std::memcpy(last.data(), &value, last.size());
  return by_table(by_table(0, last.data(), last.size()), data, left);
}

TRAINYARD_CARRYLESS uint64_t by_carryless(uint64_t value, const char* data, size_t left) {
  if (left < 64) return by_table(value, data, left);
  __m128i lanes[4];
  for (int i = 0; i < 4; ++i) lanes[i] = load(data + 16 * i);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi64_si128(static_cast<int64_t>(value)));
  __m128i by = constants(kBy512);
  for (data += 64, left -= 64; left >= 64; data += 64, left -= 64) {
    for (int i = 0; i < 4; ++i) lanes[i] = folded(lanes[i], by, load(data + 16 * i));
  }
  return finish(lanes, 4, data, left);
}

TRAINYARD_WIDE inline __m512i folded(__m512i value, __m512i by, __m512i onto) {
  __m512i low = _mm512_clmulepi64_epi128(value, by, 0x00);
  __m512i high = _mm512_clmulepi64_epi128(value, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, onto, 0x96);  // a ^ b ^ c
}

TRAINYARD_WIDE uint64_t by_wide(uint64_t value, const char* data, size_t left) {
  if (left < 256) return by_carryless(value, data, left);
  // Four registers of 128-bit lanes that do not wait for each other.
  __m512i a = _mm512_loadu_si512(data), b = _mm512_loadu_si512(data + 64);
  __m512i c = _mm512_loadu_si512(data + 128), d = _mm512_loadu_si512(data + 192);
  a = _mm512_xor_si512(a, _mm512_zextsi128_si512(_mm_cvtsi64_si128(static_cast<int64_t>(value))));
  auto by_low = static_cast<int64_t>(kBy2048.low), by_high = static_cast<int64_t>(kBy2048.high);
  __m512i by = _mm512_set_epi64(by_high, by_low, by_high, by_low, by_high, by_low, by_high, by_low);
  for (data += 256, left -= 256; left >= 256; data += 256, left -= 256) {
    a = folded(a, by, _mm512_loadu_si512(data));
    b = folded(b, by, _mm512_loadu_si512(data + 64));
    c = folded(c, by, _mm512_loadu_si512(data + 128));
    d = folded(d, by, _mm512_loadu_si512(data + 192));
  }
  __m128i lanes[16];
  _mm512_storeu_si512(lanes, a);
  _mm512_storeu_si512(lanes + 4, b);
  _mm512_storeu_si512(lanes + 8, c);
  _mm512_storeu_si512(lanes + 12, d);
  return finish(lanes, 16, data, left);
}

#endif

Crc64Way best_way() {
  static const Crc64Way kBest = is_available(Crc64Way::wide)        ? Crc64Way::wide
                                : is_available(Crc64Way::carryless) ? Crc64Way::carryless
                                                                    : Crc64Way::table;
  return kBest;
}

}  // namespace

bool is_available(Crc64Way way) {
#if defined(__x86_64__)
  bool has_carryless = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  if (way == Crc64Way::carryless) return has_carryless;
  if (way == Crc64Way::wide) {
    return has_carryless && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq");
  }
#endif
  return way == Crc64Way::table || way == Crc64Way::best;
}

uint64_t update_crc64(uint64_t value, std::string_view bytes, Crc64Way way) {
  if (way == Crc64Way::best) way = best_way();
#if defined(__x86_64__)
  if (way == Crc64Way::wide) return by_wide(value, bytes.data(), bytes.size());
  if (way == Crc64Way::carryless) return by_carryless(value, bytes.data(), bytes.size());
#endif
  CHECK(way == Crc64Way::table, "this CPU has no such instructions");
  return by_table(value, bytes.data(), bytes.size());
}

}  // namespace trainyard::objects
