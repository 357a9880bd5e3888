// SPDX-License-Identifier: Apache-2.0
// Shapes of API requests, and the check of a JSON document against one, with all violations in
// AWS's words (contract.md B.3).
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/fault.hpp"
#include "base/json.hpp"

namespace trainyard::api {

struct Shape;

struct Member {
  std::string name;
  const Shape* shape = nullptr;  // owned by the ApiModel
  bool is_required = false;
};

// A value type of the service model.
struct Shape {
  enum class Kind {
    text,
    integer,  // 32 bits
    long_integer,
    number,
    timestamp,  // epoch seconds
    flag,
    list,
    map,
    structure,
  };

  Kind kind = Kind::structure;
  std::optional<int64_t> min;  // of a value, or of a length
  std::optional<int64_t> max;
  std::string pattern;                 // as AWS writes it, over the whole text; empty: any
  std::shared_ptr<const RE2> matcher;  // of the pattern
  std::vector<std::string> values;     // of an enum; empty: any
  std::string local_path_help;         // appended to the pattern's violation for a local path
  const Shape* key = nullptr;          // of a map
  const Shape* element = nullptr;      // of a list or map
  std::vector<Member> members;         // of a structure

  const Shape* member(std::string_view name) const;  // null: it has none of that name
};

// Empty when the document fits; else SerializationException for a value of the wrong type, or
// ValidationException with all violations. Members that the shape does not know are ignored.
std::optional<aws::Fault> check(const json::object& document, const Shape& shape);

}  // namespace trainyard::api
