// SPDX-License-Identifier: Apache-2.0
#include "agent/python_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace trainyard::agent {

namespace {

// repr() of a float: the shortest text that reads back, with ".0" where it would look like an
// integer.
std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", number);
  bool looks_integral = text.find_first_of(".e") == std::string::npos;
  return looks_integral ? text + ".0" : text;
}

std::string json_float_text(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return float_text(number);
}

// str.isprintable() for assigned characters: controls, formats, blanks, surrogates, private use.
bool is_printable(char32_t point) {
  using Range = std::pair<char32_t, char32_t>;
  constexpr auto kHidden = std::to_array<Range>(
      {{0x0, 0x1F},        {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},
       {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
       {0x8E2, 0x8E2},     {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
       {0x2028, 0x202F},   {0x205F, 0x2064},   {0x2066, 0x206F},   {0x3000, 0x3000},
       {0xD800, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},   {0x110BD, 0x110BD},
       {0x110CD, 0x110CD}, {0x13430, 0x13438}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
       {0xE0001, 0xE0001}, {0xE0020, 0xE007F}, {0xF0000, 0xFFFFD}, {0x100000, 0x10FFFD}});
  return std::none_of(kHidden.begin(), kHidden.end(), [&](const Range& range) {
    return point >= range.first && point <= range.second;
  });
}

std::string escaped(char32_t point) {
  auto number = static_cast<uint32_t>(point);
  if (number <= 0xFF) return fmt::format("\\x{:02x}", number);
  return number <= 0xFFFF ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number);
}

// repr() of a string.
std::string quoted_text(std::string_view text) {
  bool has_single = text.find('\'') != std::string_view::npos;
  bool has_double = text.find('"') != std::string_view::npos;
  char32_t quote = has_single && !has_double ? '"' : '\'';
  std::string result;
  append_code_point(result, quote);
  for (char32_t point : code_points(text)) {
    if (point == '\n') {
      result += "\\n";
    } else if (point == '\r') {
      result += "\\r";
    } else if (point == '\t') {
      result += "\\t";
    } else if (point == '\\' || point == quote) {
      result += '\\';
      append_code_point(result, point);
    } else if (is_printable(point)) {
      append_code_point(result, point);
    } else {
      result += escaped(point);
    }
  }
  append_code_point(result, quote);
  return result;
}

// json.dumps() of a string.
std::string json_text(std::string_view text) {
  std::string result = "\"";
  constexpr std::u32string_view kNamed = U"\"\\\b\f\n\r\t";
  constexpr std::string_view kNames = "\"\\bfnrt";
  for (char32_t point : code_points(text)) {
    size_t named = kNamed.find(point);
    if (named != std::u32string_view::npos) {
      result += '\\';
      result += kNames[named];
    } else if (point >= 0x20 && point < 0x7F) {
      result += static_cast<char>(point);
    } else if (point < 0x10000) {
      result += fmt::format("\\u{:04x}", static_cast<uint32_t>(point));
    } else {
      auto rest = static_cast<uint32_t>(point) - 0x10000;
      result += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    }
  }
  return result + "\"";
}

// repr(): as inside of a list or dict.
std::string repr(const PythonValue& value) {
  if (value.is_none()) return "None";
  if (const bool* truth = value.if_bool()) return *truth ? "True" : "False";
  if (const auto* number = value.if_integer()) return number->digits;
  if (const double* number = value.if_float()) return float_text(*number);
  if (const auto* text = value.if_text()) return quoted_text(*text);
  std::vector<std::string> items;
  if (const auto* list = value.if_list()) {
    for (const PythonValue& item : *list) items.push_back(repr(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  for (const auto& [key, item] : *value.if_dict()) {
    items.push_back(quoted_text(key) + ": " + repr(item));
  }
  return fmt::format("{{{}}}", fmt::join(items, ", "));
}

// By code points, which is the order of UTF-8's bytes.
PythonDict sorted(PythonDict dict) {
  std::sort(dict.begin(), dict.end(),
            [](const auto& one, const auto& other) { return one.first < other.first; });
  return dict;
}

struct JsonStyle {
  const char* comma;
  const char* colon;
  bool is_sorted;
};

std::string dump(const PythonValue& value, const JsonStyle& style) {
  if (value.is_none()) return "null";
  if (const bool* truth = value.if_bool()) return *truth ? "true" : "false";
  if (const auto* number = value.if_integer()) return number->digits;
  if (const double* number = value.if_float()) return json_float_text(*number);
  if (const auto* text = value.if_text()) return json_text(*text);
  std::vector<std::string> items;
  if (const auto* list = value.if_list()) {
    for (const PythonValue& item : *list) items.push_back(dump(item, style));
    return fmt::format("[{}]", fmt::join(items, style.comma));
  }
  PythonDict dict = style.is_sorted ? sorted(*value.if_dict()) : *value.if_dict();
  for (const auto& [key, item] : dict) {
    items.push_back(json_text(key) + style.colon + dump(item, style));
  }
  return fmt::format("{{{}}}", fmt::join(items, style.comma));
}

}  // namespace

PythonValue decode_hyperparameter(const std::string& text) {
  auto parsed = parse_python(text);
  return parsed ? *std::move(parsed) : PythonValue(text);
}

std::string dump_sorted(const PythonValue& value) {
  return dump(value, {",", ":", true});
}

std::string dump_plain(const PythonValue& value) {
  return dump(value, {", ", ": ", false});
}

std::string python_str(const PythonValue& value) {
  const std::string* text = value.if_text();
  return text != nullptr ? *text : repr(value);
}

std::string as_argument(const PythonValue& value) {
  if (value.is_none()) return "";
  const PythonDict* dict = value.if_dict();
  if (dict == nullptr) return python_str(value);
  std::vector<std::string> items;
  for (const auto& [key, item] : sorted(*dict)) items.push_back(key + "=" + python_str(item));
  return fmt::format("{}", fmt::join(items, ","));
}

std::string as_variable(const PythonValue& value) {
  if (const std::string* text = value.if_text()) return *text;
  return value.is_none() ? "" : dump_sorted(value);
}

}  // namespace trainyard::agent
