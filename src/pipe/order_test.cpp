// SPDX-License-Identifier: Apache-2.0
#include "pipe/order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace trainyard::pipe {
namespace {

PipeChannel channel_of(size_t entries, std::optional<int64_t> seed = {}) {
  PipeChannel channel;
  channel.entries.resize(entries);
  channel.shuffle_seed = seed;
  return channel;
}

std::vector<size_t> counting(size_t count) {
  std::vector<size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), size_t{0});
  return numbers;
}

TEST(Order, is_that_of_the_entries_without_a_seed) {
  for (uint64_t epoch : {0, 1, 7}) EXPECT_EQ(order_of(channel_of(5), epoch), counting(5));
  EXPECT_TRUE(order_of(channel_of(0, 3), 0).empty());
}

TEST(Order, is_another_one_each_epoch_with_a_seed_and_the_same_again) {
  std::vector<std::vector<size_t>> seen;
  for (int64_t seed : {0, 1, -1}) {
    for (uint64_t epoch = 0; epoch < 5; ++epoch) {
      auto order = order_of(channel_of(50, seed), epoch);
      EXPECT_EQ(order, order_of(channel_of(50, seed), epoch));
      EXPECT_EQ(std::count(seen.begin(), seen.end(), order), 0);
      seen.push_back(order);
      std::sort(order.begin(), order.end());
      EXPECT_EQ(order, counting(50));
    }
  }
}

TEST(Order, is_the_same_on_every_machine) {
  // Hosts of one job may run different builds.
  EXPECT_EQ(order_of(channel_of(8, 42), 0), (std::vector<size_t>{7, 2, 4, 5, 1, 0, 3, 6}));
  EXPECT_EQ(order_of(channel_of(8, 42), 1), (std::vector<size_t>{3, 4, 1, 2, 5, 0, 7, 6}));
}

TEST(Order, comes_to_each_permutation_equally_often) {
  std::map<std::vector<size_t>, int> counts;
  for (uint64_t epoch = 0; epoch < 24'000; ++epoch) counts[order_of(channel_of(4, 9), epoch)] += 1;
  EXPECT_EQ(counts.size(), 24U);
  // 1,000 each; six standard deviations are 186.
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 186);
}

TEST(Order, deals_each_entry_to_one_host_and_anew_each_epoch) {
  for (size_t hosts : {1, 2, 3, 20}) {
    for (std::optional<int64_t> seed : {std::optional<int64_t>(), std::optional<int64_t>(5)}) {
      std::vector<std::vector<size_t>> of_first_host;
      for (uint64_t epoch = 0; epoch < 3; ++epoch) {
        std::vector<size_t> all;
        for (size_t host = 0; host < hosts; ++host) {
          PipeChannel channel = channel_of(17, seed);
          channel.is_sharded = true;
          channel.host_index = host;
          channel.host_count = hosts;
          auto own = order_of(channel, epoch);
          EXPECT_LE(own.size(), 17 / hosts + 1);
          if (host == 0) of_first_host.push_back(own);
          all.insert(all.end(), own.begin(), own.end());
        }
        std::sort(all.begin(), all.end());
        EXPECT_EQ(all, counting(17));
      }
      EXPECT_EQ(of_first_host[0] == of_first_host[1], !seed);
    }
  }
}

}  // namespace
}  // namespace trainyard::pipe
