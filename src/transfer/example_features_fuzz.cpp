// SPDX-License-Identifier: Apache-2.0
// Records of anybody's making.
#include "base/check.hpp"
#include "transfer/example_features.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard::transfer;
  ExampleFeatures features(3);
  features.add({reinterpret_cast<const char*>(data), size});
  CHECK(features.examples() + features.others() == 1, "a record is one or the other");
  for (const auto& [name, feature] : features.features()) {
    CHECK(feature.least_values <= feature.most_values && feature.examples.size() <= 3, "in bounds");
  }
  return 0;
}
