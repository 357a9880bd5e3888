// SPDX-License-Identifier: Apache-2.0
#include "agent/python_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

// repr() of a float: the shortest text that reads back, with ".0" where it would look like an
// integer.
std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", number);
  bool looks_integral = text.find_first_of(".en") == std::string::npos;
  return looks_integral ? text + ".0" : text;
}

std::string quoted_text(std::string_view text) {
  bool has_single = text.find('\'') != std::string_view::npos;
  bool has_double = text.find('"') != std::string_view::npos;
  char quote = has_single && !has_double ? '"' : '\'';
  std::string result(1, quote);
  for (char c : text) {
    switch (c) {
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\\':
        result += "\\\\";
        break;
      default:
        if (c == quote) result += '\\';
        result += c;
    }
  }
  return result + quote;
}

std::vector<std::string> sorted_keys(const json::object& object) {
  std::vector<std::string> keys;
  for (const auto& member : object) keys.emplace_back(member.key());
  std::sort(keys.begin(), keys.end());
  return keys;
}

// repr(): as inside of a list or dict.
std::string repr(const json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "None";
    case boost::json::kind::bool_:
      return value.get_bool() ? "True" : "False";
    case boost::json::kind::int64:
      return std::to_string(value.get_int64());
    case boost::json::kind::uint64:
      return std::to_string(value.get_uint64());
    case boost::json::kind::double_:
      return float_text(value.get_double());
    case boost::json::kind::string:
      return quoted_text(json::view(value.get_string()));
    case boost::json::kind::array: {
      std::vector<std::string> items;
      for (const json::value& item : value.get_array()) items.push_back(repr(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    case boost::json::kind::object: {
      std::vector<std::string> items;
      for (const auto& [key, item] : value.get_object()) {
        items.push_back(quoted_text({key.data(), key.size()}) + ": " + repr(item));
      }
      return fmt::format("{{{}}}", fmt::join(items, ", "));
    }
  }
  return "";
}

}  // namespace

json::value decode_hyperparameter(const std::string& text) {
  auto parsed = json::parse(text);
  return parsed ? *parsed : json::value(text);
}

std::string dump_sorted(const json::value& value) {
  if (const json::object* object = value.if_object()) {
    std::vector<std::string> members;
    for (const std::string& key : sorted_keys(*object)) {
      members.push_back(json::serialize(json::value(key)) + ":" + dump_sorted(object->at(key)));
    }
    return fmt::format("{{{}}}", fmt::join(members, ","));
  }
  if (const json::array* list = value.if_array()) {
    std::vector<std::string> items;
    for (const json::value& item : *list) items.push_back(dump_sorted(item));
    return fmt::format("[{}]", fmt::join(items, ","));
  }
  if (value.is_double()) return float_text(value.get_double());
  return json::serialize(value);
}

std::string as_argument(const json::value& value) {
  if (value.is_string()) return std::string(json::view(value.get_string()));
  if (value.is_null()) return "";
  if (const json::object* object = value.if_object()) {
    std::vector<std::string> items;
    for (const std::string& key : sorted_keys(*object)) {
      items.push_back(key + "=" + as_argument(object->at(key)));
    }
    return fmt::format("{}", fmt::join(items, ","));
  }
  return repr(value);
}

std::string as_variable(const json::value& value) {
  if (value.is_string()) return std::string(json::view(value.get_string()));
  return value.is_null() ? "" : dump_sorted(value);
}

}  // namespace trainyard::agent
