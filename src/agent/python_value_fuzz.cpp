// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/python_text.hpp"
#include "base/check.hpp"
#include "base/text.hpp"

// Hyperparameters are whatever a client sends: what is read can be written, and reads the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard::agent;
  std::string_view given(reinterpret_cast<const char*>(data), size);
  auto value = parse_python(given);
  if (!value || !trainyard::is_valid_utf8(given)) return 0;
  static_cast<void>(as_argument(*value));
  std::string text = dump_sorted(*value);
  auto again = parse_python(text);
  CHECK(again && dump_sorted(*again) == text, "a value reads itself");
  return 0;
}
