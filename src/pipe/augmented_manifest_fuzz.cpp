// SPDX-License-Identifier: Apache-2.0
// Manifests of anybody's making: each entry has a piece for each attribute, objects have keys.
#include "base/check.hpp"
#include "pipe/augmented_manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  const std::vector<std::string> names = {"a-ref", "b"};
  auto resolve = [](const S3Uri& uri) -> Result<pipe::Source> {
    return pipe::Source{uri, 0, "", ""};
  };
  auto entries =
      pipe::parse_augmented_manifest({reinterpret_cast<const char*>(data), size}, names, resolve);
  if (!entries) return 0;
  for (const pipe::Entry& entry : *entries) {
    CHECK(entry.size() == names.size(), "a piece for each attribute");
    CHECK(entry[0].object && !entry[0].object->uri.key.empty(), "an object by its key");
    CHECK(!entry[1].object, "and the other as bytes");
  }
  return 0;
}
