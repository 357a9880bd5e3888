// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "objects/md5_lanes.hpp"
#include "objects/md5_steps.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace trainyard::objects {

#if defined(__x86_64__)

// g++ 12 takes the undefined register of its own intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace {

#define TRAINYARD_WIDE __attribute__((target("avx512f")))

constexpr size_t kLanes = 16;
using Word = __m512i;  // the same word of 16 messages
using Words = Word[16];

// Truth tables of F, G, H and I (RFC 1321, 3.4), indexed by the bits of b, c and d.
constexpr int kFunctions[] = {0xca, 0xe4, 0x96, 0x39};

template <size_t kStep>
TRAINYARD_WIDE inline void step(Word& a, Word b, Word c, Word d, const Words& words) {
  constexpr int kFunction = kFunctions[kStep / 16];  // without -O these must be constants
  constexpr int kRotation = md5::rotation(kStep);
  Word mixed = _mm512_ternarylogic_epi32(b, c, d, kFunction);
  Word added = _mm512_set1_epi32(static_cast<int>(md5::kAdded[kStep]));
  Word sum = _mm512_add_epi32(_mm512_add_epi32(a, words[md5::word(kStep)]), added);
  sum = _mm512_add_epi32(sum, mixed);
  a = _mm512_add_epi32(b, _mm512_rol_epi32(sum, kRotation));
}

template <size_t... kFours>
TRAINYARD_WIDE inline void all_steps(Word (&state)[4], const Words& words,
                                     std::index_sequence<kFours...>) {
  auto& [a, b, c, d] = state;
  ((step<4 * kFours>(a, b, c, d, words), step<4 * kFours + 1>(d, a, b, c, words),
    step<4 * kFours + 2>(c, d, a, b, words), step<4 * kFours + 3>(b, c, d, a, words)),
   ...);
}

// Rows of bytes, one of each message, become words of all messages.
TRAINYARD_WIDE inline void transpose(const char* const (&rows)[kLanes], Words& words) {
  Word pairs[16], fours[16];
  for (size_t i = 0; i < 16; i += 2) {
    Word even = _mm512_loadu_si512(rows[i]), odd = _mm512_loadu_si512(rows[i + 1]);
    pairs[i] = _mm512_unpacklo_epi32(even, odd);
    pairs[i + 1] = _mm512_unpackhi_epi32(even, odd);
  }
  for (size_t i = 0; i < 16; i += 4) {
    fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  // fours[4 g + w] has, in each quarter q, word 4 q + w of messages 4 g to 4 g + 3.
  for (size_t w = 0; w < 4; ++w) {
    Word low = _mm512_shuffle_i32x4(fours[w], fours[4 + w], 0x88);
    Word high = _mm512_shuffle_i32x4(fours[8 + w], fours[12 + w], 0x88);
    Word low_odd = _mm512_shuffle_i32x4(fours[w], fours[4 + w], 0xdd);
    Word high_odd = _mm512_shuffle_i32x4(fours[8 + w], fours[12 + w], 0xdd);
    words[w] = _mm512_shuffle_i32x4(low, high, 0x88);
    words[8 + w] = _mm512_shuffle_i32x4(low, high, 0xdd);
    words[4 + w] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
    words[12 + w] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd);
  }
}

TRAINYARD_WIDE void advance(std::span<const Md5Lane> lanes, size_t blocks) {
  const char* rows[kLanes];
  alignas(64) uint32_t columns[4][kLanes];
  for (size_t i = 0; i < kLanes; ++i) {  // what is too much repeats the first
    const Md5Lane& lane = lanes[i < lanes.size() ? i : 0];
    rows[i] = lane.data;
    for (size_t word = 0; word < 4; ++word) columns[word][i] = lane.state->words[word];
  }
  Word state[4];
  for (size_t word = 0; word < 4; ++word) state[word] = _mm512_load_si512(columns[word]);
  for (; blocks > 0; --blocks) {
    Words words;
    transpose(rows, words);
    Word before[4] = {state[0], state[1], state[2], state[3]};
    all_steps(state, words, std::make_index_sequence<md5::kSteps / 4>());
    for (size_t word = 0; word < 4; ++word) {
      state[word] = _mm512_add_epi32(state[word], before[word]);
    }
    for (const char*& row : rows) row += kMd5BlockBytes;
  }
  for (size_t word = 0; word < 4; ++word) _mm512_store_si512(columns[word], state[word]);
  for (size_t i = 0; i < lanes.size(); ++i) {
    for (size_t word = 0; word < 4; ++word) lanes[i].state->words[word] = columns[word][i];
  }
}

}  // namespace

bool advance_md5_by_avx512(std::span<const Md5Lane> lanes, size_t blocks) {
  if (!__builtin_cpu_supports("avx512f")) return false;
  if (!lanes.empty()) advance(lanes, blocks);
  return true;
}

#else

bool advance_md5_by_avx512(std::span<const Md5Lane>, size_t) {
  return false;
}

#endif

}  // namespace trainyard::objects
