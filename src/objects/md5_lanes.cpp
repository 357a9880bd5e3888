// SPDX-License-Identifier: Apache-2.0
#include "objects/md5_lanes.hpp"

// OpenSSL 3 hides the state of a digest in its newer interface.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>

#include "base/check.hpp"

namespace trainyard::objects {

namespace {

enum class Kind { avx512, avx2, scalar };

Kind kind_of_processor() {
  static const Kind kKind = [] {
    if (advance_md5_by_avx512({}, 0)) return Kind::avx512;
    return advance_md5_by_avx2({}, 0) ? Kind::avx2 : Kind::scalar;
  }();
  return kKind;
}

}  // namespace

size_t md5_lanes() {
  constexpr size_t kLanes[] = {16, 8, 1};
  return kLanes[static_cast<size_t>(kind_of_processor())];
}

size_t md5_worthwhile_lanes() {
  constexpr size_t kLanes[] = {4, 4, 2};  // 1.56 and 1.12 GB/s; one by one 0.88
  return kLanes[static_cast<size_t>(kind_of_processor())];
}

void advance_md5(Md5State& state, const char* data, size_t blocks) {
  MD5_CTX context{};
  auto& words = state.words;
  context.A = words[0], context.B = words[1], context.C = words[2], context.D = words[3];
  MD5_Update(&context, data, blocks * kMd5BlockBytes);
  words = {context.A, context.B, context.C, context.D};
}

void advance_md5(std::span<const Md5Lane> lanes, size_t blocks) {
  CHECK(lanes.size() <= md5_lanes(), "a lane for each message");
  bool is_worth_it = lanes.size() >= md5_worthwhile_lanes();
  if (is_worth_it && kind_of_processor() == Kind::avx512) {
    advance_md5_by_avx512(lanes, blocks);
  } else if (is_worth_it) {
    advance_md5_by_avx2(lanes, blocks);
  } else {
    for (const Md5Lane& lane : lanes) advance_md5(*lane.state, lane.data, blocks);
  }
}

}  // namespace trainyard::objects
