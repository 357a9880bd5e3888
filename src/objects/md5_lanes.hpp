// SPDX-License-Identifier: Apache-2.0
// MD5 of several messages at once, one in each lane of a vector register. One message has no
// parallelism within; sixteen together take hardly longer than one. Internal to objects/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace trainyard::objects {

inline constexpr size_t kMd5BlockBytes = 64;
inline constexpr size_t kMd5MostLanes = 16;

// What the blocks so far have come to; RFC 1321, 3.3.
struct Md5State {
  std::array<uint32_t, 4> words = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
};

// The next blocks of one message.
struct Md5Lane {
  Md5State* state = nullptr;
  const char* data = nullptr;
};

// How many messages this processor takes at once: 16, 8, or 1 where it has no registers for it.
size_t md5_lanes();
// From how many on that is faster than one after the other.
size_t md5_worthwhile_lanes();

// Takes the next `blocks` blocks of each message. Requires at most md5_lanes() of them.
void advance_md5(std::span<const Md5Lane> lanes, size_t blocks);
// The same for one message, as fast as one goes.
void advance_md5(Md5State& state, const char* data, size_t blocks);

// What advance_md5() chooses from, for the tests. False: this processor cannot.
bool advance_md5_by_avx512(std::span<const Md5Lane> lanes, size_t blocks);  // 1 to 16
bool advance_md5_by_avx2(std::span<const Md5Lane> lanes, size_t blocks);    // 1 to 8

}  // namespace trainyard::objects
