// SPDX-License-Identifier: Apache-2.0
#include "objects/md5_lanes.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/checksum.hpp"

namespace trainyard::objects {
namespace {

using Advance = bool (*)(std::span<const Md5Lane>, size_t);

// The end of a message: RFC 1321, 3.1 and 3.2.
std::string padded(std::string message) {
  uint64_t bits = message.size() * 8;
  message += '\x80';
  message.append((64 + 56 - message.size() % 64) % 64, '\0');
  char length[8];
  std::memcpy(length, &bits, sizeof length);
  return message + std::string(length, sizeof length);
}

std::string digest_of(const Md5State& state) {
  return {reinterpret_cast<const char*>(state.words.data()), 16};
}

std::string md5_of(std::string_view message) {
  auto md5 = make_md5();
  md5->add(message);
  return md5->finish();
}

class Md5Lanes : public testing::TestWithParam<std::pair<Advance, size_t>> {
 protected:
  void SetUp() override {
    if (!GetParam().first({}, 0)) GTEST_SKIP() << "not on this processor";
  }

  // All of the same length, as lanes go.
  std::vector<std::string> digests(const std::vector<std::string>& messages) {
    std::vector<std::string> all;
    for (const std::string& message : messages) all.push_back(padded(message));
    std::vector<Md5State> states(all.size());
    std::vector<Md5Lane> lanes;
    for (size_t i = 0; i < all.size(); ++i) lanes.push_back({&states[i], all[i].data()});
    EXPECT_TRUE(GetParam().first(lanes, all[0].size() / kMd5BlockBytes));
    std::vector<std::string> result;
    for (const Md5State& state : states) result.push_back(digest_of(state));
    return result;
  }
};

TEST_P(Md5Lanes, take_the_test_suite_of_the_rfc) {
  // RFC 1321, A.5.
  const std::pair<std::string, std::string> kSuite[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
       "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"}};
  for (const auto& [message, digest] : kSuite) {
    EXPECT_EQ(to_hex(digests({message})[0]), digest) << message;
  }
}

TEST_P(Md5Lanes, do_not_mix_up_messages_however_many_and_long) {
  for (size_t count = 1; count <= GetParam().second; ++count) {
    for (size_t size = 0; size < 300; ++size) {
      std::vector<std::string> messages;
      for (size_t i = 0; i < count; ++i) messages.push_back(random_bytes(size));
      auto found = digests(messages);
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(found[i], md5_of(messages[i]))
            << "message " << i << " of " << count << ", " << size << " bytes";
      }
    }
  }
}

bool by_choice(std::span<const Md5Lane> lanes, size_t blocks) {
  for (size_t i = 0; i < lanes.size(); i += md5_lanes()) {
    advance_md5(lanes.subspan(i, std::min(md5_lanes(), lanes.size() - i)), blocks);
  }
  return true;
}

bool one_by_one(std::span<const Md5Lane> lanes, size_t blocks) {
  for (const Md5Lane& lane : lanes) advance_md5(*lane.state, lane.data, blocks);
  return true;
}

INSTANTIATE_TEST_SUITE_P(OfEveryWidth, Md5Lanes,
                         testing::Values(std::pair(&advance_md5_by_avx512, size_t{16}),
                                         std::pair(&advance_md5_by_avx2, size_t{8}),
                                         std::pair(&by_choice, size_t{20}),
                                         std::pair(&one_by_one, size_t{2})));

}  // namespace
}  // namespace trainyard::objects
