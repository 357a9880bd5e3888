// SPDX-License-Identifier: Apache-2.0
// Declarative shapes of API requests, and the check of a JSON document against one, with all
// violations in AWS's words (contract.md B.3).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/services.hpp"

namespace trainyard::api::sagemaker {

struct Member;

// A value type, built by the functions below:
//
//   structure({{"TrainingJobName", text(1, 63).matching("[a-zA-Z0-9]…"), kRequired}, …})
struct Shape {
  enum class Kind { text, integer, flag, list, map, structure, anything };

  Kind kind = Kind::anything;
  int64_t min = 0;
  int64_t max = INT64_MAX;
  std::string pattern;                   // ECMAScript, over the whole text; empty: any
  std::vector<std::string> values;       // of an enum; empty: any
  std::string local_path_help;           // appended to the pattern's violation for a local path
  std::shared_ptr<const Shape> key;      // of a map
  std::shared_ptr<const Shape> element;  // of a list or map
  std::vector<Member> members;           // of a structure

  Shape matching(std::string regex) &&;
};

struct Member {
  std::string name;
  Shape shape;
  bool is_required = false;
};
constexpr bool kRequired = true;

Shape text(int64_t min, int64_t max);
Shape integer(int64_t min, int64_t max = INT64_MAX);
Shape flag();
Shape one_of(std::vector<std::string> values);
Shape list(Shape element, int64_t min, int64_t max);
Shape map(Shape key, Shape value, int64_t max);
Shape structure(std::vector<Member> members);
Shape anything();  // accepted and echoed unread

// Empty when the document fits; else SerializationException for a value of the wrong type, or
// ValidationException with all violations. Members that the shape does not know are ignored.
std::optional<aws::Fault> check(const json::object& document, const Shape& shape);

}  // namespace trainyard::api::sagemaker
