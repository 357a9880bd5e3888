// SPDX-License-Identifier: Apache-2.0
// Heads of a server's answers, and what it says when it refuses.
#include "transfer/answer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard::transfer;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto answer = parse_answer(text)) {
    static_cast<void>(error_of(*answer, text.substr(text.size() / 2)));
  }
  return 0;
}
