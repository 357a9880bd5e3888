// SPDX-License-Identifier: Apache-2.0
#include "aws/cbor.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  auto value = aws::parse_cbor({reinterpret_cast<const char*>(data), size});
  if (value) static_cast<void>(aws::to_cbor(*value, {}));
  return 0;
}
