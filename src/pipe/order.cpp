// SPDX-License-Identifier: Apache-2.0
#include "pipe/order.hpp"

#include <numeric>
#include <random>
#include <utility>

namespace trainyard::pipe {

namespace {

// std::seed_seq, the engine and this draw are the same with every library; std::shuffle is not.
std::mt19937_64 engine_for(int64_t seed, uint64_t epoch) {
  auto bits = static_cast<uint64_t>(seed);
  std::seed_seq words{bits & 0xffffffff, bits >> 32, epoch & 0xffffffff, epoch >> 32};
  return std::mt19937_64(words);
}

// Evenly from [0, bound), bound > 0.
uint64_t draw(std::mt19937_64& engine, uint64_t bound) {
  uint64_t first_fair =
      (0 - bound) % bound;  // 2^64 mod bound: below it, some would come more often
  for (;;) {
    uint64_t number = engine();
    if (number >= first_fair) return number % bound;
  }
}

}  // namespace

std::vector<size_t> order_of(const PipeChannel& channel, uint64_t epoch) {
  std::vector<size_t> order(channel.entries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (channel.shuffle_seed) {
    auto engine = engine_for(*channel.shuffle_seed, epoch);
    for (size_t i = order.size(); i > 1; --i) {  // Fisher and Yates
      std::swap(order[i - 1], order[draw(engine, i)]);
    }
  }
  if (!channel.is_sharded) return order;
  std::vector<size_t> own;
  for (size_t i = channel.host_index; i < order.size(); i += channel.host_count) {
    own.push_back(order[i]);
  }
  return own;
}

}  // namespace trainyard::pipe
