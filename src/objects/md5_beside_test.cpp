// SPDX-License-Identifier: Apache-2.0
#include "objects/md5_beside.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/random.hpp"

namespace trainyard::objects {
namespace {

TEST(Md5Beside, is_the_md5_of_the_same_bytes_in_any_pieces) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string bytes = random_bytes(random() % 300'000);
    auto plain = make_md5();
    plain->add(bytes);
    Md5Beside beside;
    std::string buffers[2];  // as its callers use it
    size_t turn = 0;
    for (size_t at = 0; at < bytes.size();) {
      std::string& buffer = buffers[turn++ % 2];
      buffer = bytes.substr(at, random() % 100'000);
      at += buffer.size();
      beside.add(buffer);
    }
    ASSERT_EQ(beside.finish(), plain->finish()) << round;
  }
}

TEST(Md5Beside, may_be_left_in_the_middle) {
  std::string bytes = random_bytes(1 << 20);
  Md5Beside beside;
  beside.add(bytes);
}

}  // namespace
}  // namespace trainyard::objects
