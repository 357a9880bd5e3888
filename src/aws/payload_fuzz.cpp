// SPDX-License-Identifier: Apache-2.0
// aws-chunked bodies of anybody's making.
#include "aws/payload.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trainyard::http::TextBody body(std::string(reinterpret_cast<const char*>(data), size));
  auto chunked = trainyard::aws::chunked_body(body, std::nullopt, std::nullopt);
  static_cast<void>(trainyard::http::read_all(*chunked, 1 << 20));
  return 0;
}
