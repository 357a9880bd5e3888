// SPDX-License-Identifier: Apache-2.0
// Reports, answers and assignments; what parses must survive the way back.
#include "base/check.hpp"
#include "protocol/assignment.hpp"
#include "protocol/report.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  auto document = json::parse_object({reinterpret_cast<const char*>(data), size});
  if (!document) return 0;
  static_cast<void>(protocol::parse_answer(*document));
  static_cast<void>(protocol::parse_assignment(*document));
  if (auto report = protocol::parse_report(*document)) {
    CHECK(protocol::parse_report(to_json(*report)).has_value(), "a report reads itself");
  }
  return 0;
}
