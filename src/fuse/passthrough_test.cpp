// SPDX-License-Identifier: Apache-2.0
#include "fuse/passthrough.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace trainyard::fuse {
namespace {

TEST(Passthrough, IsAskedForInNothingButAnAnswerToInit) {
  std::array<uint32_t, 4> head{80, 0, 2, 0};
  std::array<uint32_t, 16> init{7, 38, 1 << 20, 1};
  init[8] = 2;
  std::array<iovec, 2> answer{{{head.data(), sizeof head}, {init.data(), sizeof init}}};
  ASSERT_TRUE(ask_for_passthrough(answer));
  EXPECT_EQ(init[1], 40u);
  EXPECT_EQ(init[3], 1u | 1u << 30);
  EXPECT_EQ(init[8], 2u | 1u << 5);
  EXPECT_EQ(init[9], 1u);
  auto asked = init;
  head[1] = static_cast<uint32_t>(-71);
  EXPECT_FALSE(ask_for_passthrough(answer));
  head[1] = 0;
  answer[1].iov_len = 24;  // of an old protocol
  EXPECT_FALSE(ask_for_passthrough(answer));
  EXPECT_FALSE(ask_for_passthrough(std::span(answer).first(1)));
  EXPECT_EQ(init, asked);
}

TEST(OpenFiles, KeepTheWayOfTheFirstUntilTheLastIsClosed) {
  OpenFiles files;
  int32_t next = 7;
  int registered = 0;
  auto pass = [&](uint32_t) { return ++registered, next++; };
  EXPECT_EQ(files.open(1, nullptr), 0);  // not complete yet
  EXPECT_EQ(files.open(1, pass), 0);     // now it is, but for another reader
  EXPECT_EQ(files.open(2, pass), 7);
  EXPECT_EQ(files.open(2, pass), 7);
  EXPECT_EQ(files.open(2, nullptr), 7);
  EXPECT_EQ(files.close(1), 0);
  EXPECT_EQ(files.open(1, pass), 0);
  EXPECT_EQ(files.close(1), 0);
  EXPECT_EQ(files.close(1), 0);
  EXPECT_EQ(files.open(1, pass), 8);
  EXPECT_EQ(registered, 2);
  EXPECT_EQ(files.close(2), 0);
  EXPECT_EQ(files.close(2), 0);
  EXPECT_EQ(files.close(2), 7);
  EXPECT_EQ(files.close(1), 8);
  EXPECT_EQ(files.size(), 0u);
  EXPECT_EQ(files.close(1), 0);  // one that nobody opened
}

TEST(OpenFiles, AreOpenInTheOrdinaryWayWhereTheKernelTakesNoBacking) {
  OpenFiles files;
  EXPECT_EQ(files.open(3, [](uint32_t) { return 0; }), 0);
  EXPECT_EQ(files.open(3, [](uint32_t) { return 5; }), 0);
  EXPECT_EQ(files.close(3), 0);
  EXPECT_EQ(files.close(3), 0);
  EXPECT_EQ(files.size(), 0u);
}

}  // namespace
}  // namespace trainyard::fuse
