// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

namespace trainyard::json {

Result<value> parse(std::string_view text) {
  boost::system::error_code error;
  value result = boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  if (error) return fail(Code::invalid, "malformed JSON: {}", error.message());
  return result;
}

Result<object> parse_object(std::string_view text) {
  value result = TRY(parse(text));
  if (!result.is_object()) return fail(Code::invalid, "malformed JSON: not an object");
  return std::move(result.get_object());
}

const value* find(const object& object, std::string_view key) {
  const value* member = object.if_contains(boost::json::string_view(key.data(), key.size()));
  return member == nullptr || member->is_null() ? nullptr : member;
}

std::optional<std::string> find_string(const object& object, std::string_view key) {
  const value* member = find(object, key);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return std::string(view(member->get_string()));
}

std::optional<int64_t> find_integer(const object& object, std::string_view key) {
  const value* member = find(object, key);
  if (member == nullptr) return std::nullopt;
  boost::system::error_code error;
  auto number = member->to_number<int64_t>(error);
  if (error) return std::nullopt;
  return number;
}

std::optional<bool> find_bool(const object& object, std::string_view key) {
  const value* member = find(object, key);
  if (member == nullptr || !member->is_bool()) return std::nullopt;
  return member->get_bool();
}

const object* find_object(const object& object, std::string_view key) {
  const value* member = find(object, key);
  return member == nullptr ? nullptr : member->if_object();
}

const array* find_array(const object& object, std::string_view key) {
  const value* member = find(object, key);
  return member == nullptr ? nullptr : member->if_array();
}

Result<std::string> get_string(const object& object, std::string_view key) {
  auto text = find_string(object, key);
  if (!text) return fail(Code::invalid, "member '{}' is missing or is not a string", key);
  return *text;
}

Result<int64_t> get_integer(const object& object, std::string_view key) {
  auto number = find_integer(object, key);
  if (!number) return fail(Code::invalid, "member '{}' is missing or is not an integer", key);
  return *number;
}

array to_array(const std::vector<std::string>& texts) {
  array list;
  for (const std::string& text : texts) list.emplace_back(text);
  return list;
}

std::optional<std::vector<std::string>> find_texts(const object& object, std::string_view key) {
  const array* list = find_array(object, key);
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  for (const value& item : *list) {
    if (!item.is_string()) return std::nullopt;
    texts.emplace_back(view(item.get_string()));
  }
  return texts;
}

}  // namespace trainyard::json
