// SPDX-License-Identifier: Apache-2.0
#include "objects/md5_pool.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::objects {
namespace {

std::string md5_of(std::string_view bytes) {
  auto md5 = make_md5();
  md5->add(bytes);
  return md5->finish();
}

// As its callers use it: two buffers, in turns.
std::string in_turns(Md5Pool& pool, const std::string& bytes, std::minstd_rand& random) {
  std::string buffers[2];  // before the stream that reads them
  Md5Stream stream(pool);
  size_t turn = 0;
  for (size_t at = 0; at < bytes.size();) {
    std::string& buffer = buffers[turn++ % 2];
    buffer = bytes.substr(at, random() % 100'000);
    at += buffer.size();
    stream.begin(buffer);
  }
  return stream.finish();
}

class Md5Pools : public testing::TestWithParam<size_t> {};

TEST_P(Md5Pools, hash_one_stream_as_it_comes_in_any_pieces) {
  Md5Pool pool(GetParam());
  std::minstd_rand random(1);
  for (int round = 0; round < 100; ++round) {
    std::string bytes = random_bytes(random() % 300'000);
    ASSERT_EQ(to_hex(in_turns(pool, bytes, random)), to_hex(md5_of(bytes))) << round;
  }
}

TEST_P(Md5Pools, hash_every_short_length_in_two_pieces) {
  Md5Pool pool(GetParam());
  for (size_t size = 0; size < 200; ++size) {
    std::string bytes = random_bytes(size);
    for (size_t first = 0; first <= size; ++first) {
      Md5Stream stream(pool);
      stream.add(std::string_view(bytes).substr(0, first));
      stream.add(std::string_view(bytes).substr(first));
      ASSERT_EQ(to_hex(stream.finish()), to_hex(md5_of(bytes))) << first << " of " << size;
    }
  }
}

TEST_P(Md5Pools, keep_the_streams_of_many_threads_apart) {
  Md5Pool pool(GetParam());
  auto work = [&](unsigned seed) {
    std::minstd_rand random(seed);
    for (int round = 0; round < 8; ++round) {
      std::string bytes = random_bytes(random() % 3'000'000);
      ASSERT_EQ(to_hex(in_turns(pool, bytes, random)), to_hex(md5_of(bytes))) << seed;
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned seed = 1; seed <= 24; ++seed) threads.emplace_back(work, seed);
}

TEST_P(Md5Pools, take_the_streams_of_one_thread_together) {
  Md5Pool pool(GetParam());
  std::vector<std::string> messages;
  for (size_t i = 0; i < 20; ++i) messages.push_back(random_bytes(i * 37'777));
  std::deque<Md5Stream> streams;
  for (const std::string& message : messages) streams.emplace_back(pool).begin(message);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(to_hex(streams[i].finish()), to_hex(md5_of(messages[i]))) << i;
  }
}

TEST_P(Md5Pools, let_streams_be_left_in_the_middle) {
  std::string bytes = random_bytes(1 << 20);
  Md5Pool pool(GetParam());
  std::deque<Md5Stream> streams;
  for (int i = 0; i < 20; ++i) streams.emplace_back(pool).begin(bytes);
  while (!streams.empty()) streams.pop_front();
}

// Never an idle core, sometimes one, always.
INSTANTIATE_TEST_SUITE_P(WithCores, Md5Pools, testing::Values(1, 4, 64));

}  // namespace
}  // namespace trainyard::objects
