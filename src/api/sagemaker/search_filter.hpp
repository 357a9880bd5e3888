// SPDX-License-Identifier: Apache-2.0
// SearchExpression: does a document match, and how does it sort. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "aws/fault.hpp"
#include "base/json.hpp"

namespace trainyard::api::sagemaker {

// Rules beyond the shape: operators that lack a value, too many filters, a second Contains.
std::optional<aws::Fault> check_expression(const json::object& expression);

// Requires: check_expression() found nothing.
bool matches(const json::object& document, const json::object& expression);

// Documents without the property come first, then numbers, then texts.
struct SortKey {
  int64_t kind = 0;
  double number = 0;
  std::string text;
};
SortKey sort_key(const json::object& document, std::string_view property);

}  // namespace trainyard::api::sagemaker
