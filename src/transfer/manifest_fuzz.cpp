// SPDX-License-Identifier: Apache-2.0
// Manifests of anybody's making: what is taken has a bucket and no empty path.
#include "base/check.hpp"
#include "transfer/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  auto keys = transfer::parse_manifest({reinterpret_cast<const char*>(data), size});
  if (!keys) return 0;
  CHECK(!keys->prefix.bucket.empty(), "a bucket");
  for (const std::string& path : keys->paths) CHECK(!path.empty(), "a name for each object");
  return 0;
}
