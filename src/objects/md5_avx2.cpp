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

namespace {

#define TRAINYARD_WIDE __attribute__((target("avx2")))

constexpr size_t kLanes = 8;
using Word = __m256i;  // the same word of 8 messages
using Words = Word[16];

// F, G, H and I of RFC 1321, 3.4.
template <size_t kRound>
TRAINYARD_WIDE inline Word mix(Word b, Word c, Word d) {
  if constexpr (kRound == 0) {
    return _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)));
  } else if constexpr (kRound == 1) {
    return _mm256_xor_si256(c, _mm256_and_si256(d, _mm256_xor_si256(b, c)));
  } else if constexpr (kRound == 2) {
    return _mm256_xor_si256(b, _mm256_xor_si256(c, d));
  } else {
    Word not_d = _mm256_xor_si256(d, _mm256_set1_epi32(-1));
    return _mm256_xor_si256(c, _mm256_or_si256(b, not_d));
  }
}

template <size_t kStep>
TRAINYARD_WIDE inline void step(Word& a, Word b, Word c, Word d, const Words& words) {
  constexpr int kRotation = md5::rotation(kStep);
  Word added = _mm256_set1_epi32(static_cast<int>(md5::kAdded[kStep]));
  Word sum = _mm256_add_epi32(_mm256_add_epi32(a, words[md5::word(kStep)]), added);
  sum = _mm256_add_epi32(sum, mix<kStep / 16>(b, c, d));
  Word rotated =
      _mm256_or_si256(_mm256_slli_epi32(sum, kRotation), _mm256_srli_epi32(sum, 32 - kRotation));
  a = _mm256_add_epi32(b, rotated);
}

template <size_t... kFours>
TRAINYARD_WIDE inline void all_steps(Word (&state)[4], const Words& words,
                                     std::index_sequence<kFours...>) {
  auto& [a, b, c, d] = state;
  ((step<4 * kFours>(a, b, c, d, words), step<4 * kFours + 1>(d, a, b, c, words),
    step<4 * kFours + 2>(c, d, a, b, words), step<4 * kFours + 3>(b, c, d, a, words)),
   ...);
}

// Half a row of bytes of each message becomes eight words of all messages.
TRAINYARD_WIDE inline void transpose(const char* const (&rows)[kLanes], size_t half, Words& words) {
  Word pairs[8], fours[8];
  auto load = [&](size_t i) TRAINYARD_WIDE {
    return _mm256_loadu_si256(reinterpret_cast<const Word*>(rows[i] + 32 * half));
  };
  for (size_t i = 0; i < 8; i += 2) {
    Word even = load(i), odd = load(i + 1);
    pairs[i] = _mm256_unpacklo_epi32(even, odd);
    pairs[i + 1] = _mm256_unpackhi_epi32(even, odd);
  }
  for (size_t i = 0; i < 8; i += 4) {
    fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  // fours[4 g + w] has word w of messages 4 g to 4 g + 3, then word 4 + w of them.
  for (size_t w = 0; w < 4; ++w) {
    words[8 * half + w] = _mm256_permute2x128_si256(fours[w], fours[4 + w], 0x20);
    words[8 * half + 4 + w] = _mm256_permute2x128_si256(fours[w], fours[4 + w], 0x31);
  }
}

TRAINYARD_WIDE void advance(std::span<const Md5Lane> lanes, size_t blocks) {
  const char* rows[kLanes];
  alignas(32) uint32_t columns[4][kLanes];
  for (size_t i = 0; i < kLanes; ++i) {  // what is too much repeats the first
    const Md5Lane& lane = lanes[i < lanes.size() ? i : 0];
    rows[i] = lane.data;
    for (size_t word = 0; word < 4; ++word) columns[word][i] = lane.state->words[word];
  }
  auto* column = reinterpret_cast<Word*>(columns);
  Word state[4];
  for (size_t word = 0; word < 4; ++word) state[word] = _mm256_load_si256(column + word);
  for (; blocks > 0; --blocks) {
    Words words;
    transpose(rows, 0, words);
    transpose(rows, 1, words);
    Word before[4] = {state[0], state[1], state[2], state[3]};
    all_steps(state, words, std::make_index_sequence<md5::kSteps / 4>());
    for (size_t word = 0; word < 4; ++word) {
      state[word] = _mm256_add_epi32(state[word], before[word]);
    }
    for (const char*& row : rows) row += kMd5BlockBytes;
  }
  for (size_t word = 0; word < 4; ++word) _mm256_store_si256(column + word, state[word]);
  for (size_t i = 0; i < lanes.size(); ++i) {
    for (size_t word = 0; word < 4; ++word) lanes[i].state->words[word] = columns[word][i];
  }
}

}  // namespace

bool advance_md5_by_avx2(std::span<const Md5Lane> lanes, size_t blocks) {
  if (!__builtin_cpu_supports("avx2")) return false;
  if (!lanes.empty()) advance(lanes, blocks);
  return true;
}

#else

bool advance_md5_by_avx2(std::span<const Md5Lane>, size_t) {
  return false;
}

#endif

}  // namespace trainyard::objects
