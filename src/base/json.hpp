// SPDX-License-Identifier: Apache-2.0
// Boost.JSON behind our Result, with lookups that never throw. Objects keep the order in which
// their members were written.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace trainyard::json {

using boost::json::array;
using boost::json::object;
using boost::json::serialize;
using boost::json::string;
using boost::json::value;

// RFC 8259 text, at most 32 levels deep, valid UTF-8, no duplicate-key check (the last one wins).
Result<value> parse(std::string_view text);

// The same, for text that must be an object.
Result<object> parse_object(std::string_view text);

// The member, or null where it is absent or JSON null.
const value* find(const object& object, std::string_view key);

// The member when it has that type, else nothing.
std::optional<std::string> find_string(const object& object, std::string_view key);
std::optional<int64_t> find_integer(const object& object, std::string_view key);
std::optional<bool> find_bool(const object& object, std::string_view key);
const object* find_object(const object& object, std::string_view key);
const array* find_array(const object& object, std::string_view key);

// A list of strings, both ways; nothing where the member is absent or holds anything else.
array to_array(const std::vector<std::string>& texts);
std::optional<std::vector<std::string>> find_texts(const object& object, std::string_view key);

// For documents of our own making (journals, messages): an absent member or another type is an
// `invalid` error that names it.
Result<std::string> get_string(const object& object, std::string_view key);
Result<int64_t> get_integer(const object& object, std::string_view key);

inline std::string_view view(const string& text) {
  return {text.data(), text.size()};
}

}  // namespace trainyard::json
