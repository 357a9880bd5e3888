// SPDX-License-Identifier: Apache-2.0
// A value as Python's json.loads() makes it of a hyperparameter's text: integers of any length,
// NaN, and half surrogate pairs, which JSON libraries refuse or round.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.hpp"

namespace trainyard::agent {

class PythonValue;
using PythonList = std::vector<PythonValue>;
// In the order of insertion, as a dict has it; each key once.
using PythonDict = std::vector<std::pair<std::string, PythonValue>>;

struct PythonInteger {
  std::string digits;  // "-12", canonical
};

class PythonValue {
 public:
  PythonValue() = default;  // None
  PythonValue(std::nullptr_t) {}
  PythonValue(std::same_as<bool> auto truth) : data_(truth) {}
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) PythonValue(Number number)
      : data_(PythonInteger{std::to_string(number)}) {}
  PythonValue(PythonInteger number) : data_(std::move(number)) {}
  PythonValue(double number) : data_(number) {}
  PythonValue(std::string text) : data_(std::move(text)) {}
  PythonValue(const char* text) : data_(std::string(text)) {}
  PythonValue(PythonList list) : data_(std::move(list)) {}
  PythonValue(PythonDict dict) : data_(std::move(dict)) {}
  PythonValue(const std::vector<std::string>& texts)
      : data_(PythonList(texts.begin(), texts.end())) {}

  bool is_none() const { return std::holds_alternative<std::nullptr_t>(data_); }
  const bool* if_bool() const { return std::get_if<bool>(&data_); }
  const PythonInteger* if_integer() const { return std::get_if<PythonInteger>(&data_); }
  const double* if_float() const { return std::get_if<double>(&data_); }
  const std::string* if_text() const { return std::get_if<std::string>(&data_); }
  const PythonList* if_list() const { return std::get_if<PythonList>(&data_); }
  const PythonDict* if_dict() const { return std::get_if<PythonDict>(&data_); }

  // bool(value): None, zero and what is empty are false.
  bool is_true() const;

 private:
  std::variant<std::nullptr_t, bool, PythonInteger, double, std::string, PythonList, PythonDict>
      data_ = nullptr;
};

// json.loads(text); nothing where it raises. A text is UTF-8, half a surrogate pair in it the three
// bytes that UTF-8 would have for it.
std::optional<PythonValue> parse_python(std::string_view text);

PythonValue to_python(const json::value& value);

// The member's value; null: there is none.
const PythonValue* find(const PythonDict& dict, std::string_view key);

// dict[key] = value
void assign(PythonDict& dict, std::string key, PythonValue value);

// Code points of such a text, and back.
std::u32string code_points(std::string_view text);
void append_code_point(std::string& text, char32_t point);

}  // namespace trainyard::agent
