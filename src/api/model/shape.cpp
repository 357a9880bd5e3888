// SPDX-License-Identifier: Apache-2.0
#include "api/model/shape.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace trainyard::api {

namespace {

// Characters, not bytes: lengths of the API count code points.
int64_t length_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

std::string lower_camel(std::string_view name) {
  std::string result(name);
  if (!result.empty()) result[0] = static_cast<char>(std::tolower(result[0]));
  return result;
}

bool is_local_path(std::string_view text) {
  bool has_drive = text.size() > 2 && text[1] == ':' && (text[2] == '\\' || text[2] == '/');
  bool is_windows_share = text.starts_with("\\\\");
  return text.starts_with('/') || text.starts_with('.') || text.starts_with('~') ||
         text.starts_with("file:") || has_drive || is_windows_share;
}

// As AWS prints a value in a message, Java's way: [a, b], {k=v}.
std::string print(const json::value& value) {
  if (value.is_string()) return std::string(json::view(value.get_string()));
  std::vector<std::string> items;
  if (const json::array* list = value.if_array()) {
    for (const json::value& item : *list) items.push_back(print(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  if (const json::object* object = value.if_object()) {
    for (const auto& [key, item] : *object) items.push_back(std::string(key) + "=" + print(item));
    return fmt::format("{{{}}}", fmt::join(items, ", "));
  }
  return json::serialize(value);
}

bool is_in_enum(std::string_view value, const Shape& shape) {
  return shape.values.empty() ||
         std::find(shape.values.begin(), shape.values.end(), value) != shape.values.end();
}

bool is_in_pattern(std::string_view value, const Shape& shape) {
  return !shape.matcher || RE2::FullMatch(value, *shape.matcher);
}

bool is_in_range(int64_t number, const Shape& shape) {
  return number >= shape.min.value_or(INT64_MIN) && number <= shape.max.value_or(INT64_MAX);
}

bool fits(std::string_view value, const Shape& shape) {
  return is_in_enum(value, shape) && is_in_pattern(value, shape) &&
         is_in_range(length_of(value), shape);
}

// All constraints of an element, as AWS lists them when one of them is broken.
std::string constraints_of(const Shape& shape) {
  std::vector<std::string> list;
  if (!shape.values.empty()) {
    list.push_back(
        fmt::format("Member must satisfy enum value set: [{}]", fmt::join(shape.values, ", ")));
  }
  if (shape.max) {
    list.push_back(fmt::format("Member must have length less than or equal to {}", *shape.max));
  }
  if (shape.min) {
    list.push_back(fmt::format("Member must have length greater than or equal to {}", *shape.min));
  }
  if (!shape.pattern.empty()) {
    list.push_back("Member must satisfy regular expression pattern: " + shape.pattern);
  }
  return fmt::format("[{}]", fmt::join(list, ", "));
}

class Checker {
 public:
  std::optional<aws::Fault> result() const {
    if (!wrong_type_.empty()) return aws::Fault{"SerializationException", wrong_type_};
    if (violations_.empty()) return std::nullopt;
    return aws::Fault{
        "ValidationException",
        fmt::format("{} validation error{} detected: {}", violations_.size(),
                    violations_.size() == 1 ? "" : "s", fmt::join(violations_, "; "))};
  }

  void check(const json::value& value, const Shape& shape, const std::string& path) {
    if (!has_type(value, shape.kind)) {
      if (wrong_type_.empty()) {
        wrong_type_ = fmt::format("{} has the wrong type: {} expected", path, word(shape.kind));
      }
      return;
    }
    switch (shape.kind) {
      case Shape::Kind::text:
        check_text(json::view(value.get_string()), shape, path);
        break;
      case Shape::Kind::integer:
      case Shape::Kind::long_integer:
        check_range(value.to_number<int64_t>(), shape, path);
        break;
      case Shape::Kind::list:
        check_list(value, shape, path);
        break;
      case Shape::Kind::map:
        check_map(value, shape, path);
        break;
      case Shape::Kind::structure:
        check_structure(value.get_object(), shape, path);
        break;
      default:
        break;
    }
  }

 private:
  static bool has_type(const json::value& value, Shape::Kind kind) {
    switch (kind) {
      case Shape::Kind::text:
        return value.is_string();
      case Shape::Kind::integer:
        return value.is_int64() && std::abs(value.get_int64()) <= INT32_MAX;
      case Shape::Kind::long_integer:
        return value.is_int64();
      case Shape::Kind::number:
      case Shape::Kind::timestamp:
        return value.is_number();
      case Shape::Kind::flag:
        return value.is_bool();
      case Shape::Kind::list:
        return value.is_array();
      case Shape::Kind::map:
      case Shape::Kind::structure:
        return value.is_object();
    }
    return false;
  }

  static std::string_view word(Shape::Kind kind) {
    switch (kind) {
      case Shape::Kind::text:
        return "a string";
      case Shape::Kind::integer:
        return "an integer of 32 bits";
      case Shape::Kind::long_integer:
        return "an integer";
      case Shape::Kind::number:
        return "a number";
      case Shape::Kind::timestamp:
        return "a timestamp in epoch seconds";
      case Shape::Kind::flag:
        return "a boolean";
      case Shape::Kind::list:
        return "a list";
      default:
        return "an object";
    }
  }

  void violate(std::string_view value, const std::string& path, std::string_view constraint) {
    violations_.push_back(fmt::format("Value '{}' at '{}' failed to satisfy constraint: {}",
                                      cut_middle(value, 1024), path, constraint));
  }

  void check_text(std::string_view value, const Shape& shape, const std::string& path) {
    if (!is_in_enum(value, shape)) {
      violate(
          value, path,
          fmt::format("Member must satisfy enum value set: [{}]", fmt::join(shape.values, ", ")));
    }
    if (!is_in_pattern(value, shape)) {
      std::string help = is_local_path(value) ? shape.local_path_help : "";
      violate(value, path,
              fmt::format("Member must satisfy regular expression pattern: {}{}{}",
                          shape.pattern.starts_with('^') ? "" : "^", shape.pattern, help));
    }
    check_length(length_of(value), value, shape, path);
  }

  void check_length(int64_t length, std::string_view value, const Shape& shape,
                    const std::string& path) {
    if (shape.min && length < *shape.min) {
      violate(value, path,
              fmt::format("Member must have length greater than or equal to {}", *shape.min));
    }
    if (shape.max && length > *shape.max) {
      violate(value, path,
              fmt::format("Member must have length less than or equal to {}", *shape.max));
    }
  }

  void check_range(int64_t number, const Shape& shape, const std::string& path) {
    std::string value = std::to_string(number);
    if (shape.min && number < *shape.min) {
      violate(value, path,
              fmt::format("Member must have value greater than or equal to {}", *shape.min));
    }
    if (shape.max && number > *shape.max) {
      violate(value, path,
              fmt::format("Member must have value less than or equal to {}", *shape.max));
    }
  }

  // One message for all elements that are plain texts; others have paths of their own.
  void check_elements(const json::value& whole, const std::vector<const json::value*>& elements,
                      const Shape& element, const std::string& path, std::string_view whose) {
    bool is_wrong = false;
    for (const json::value* value : elements) {
      if (!has_type(*value, element.kind)) return check(*value, element, path + ".member");
      is_wrong |= !fits(json::view(value->get_string()), element);
    }
    if (is_wrong) {
      violate(print(whole), path,
              fmt::format("{} must satisfy constraint: {}", whose, constraints_of(element)));
    }
  }

  void check_list(const json::value& whole, const Shape& shape, const std::string& path) {
    const json::array& list = whole.get_array();
    check_length(static_cast<int64_t>(list.size()), print(whole), shape, path);
    if (shape.element->kind == Shape::Kind::text) {
      std::vector<const json::value*> elements;
      for (const json::value& item : list) elements.push_back(&item);
      return check_elements(whole, elements, *shape.element, path, "Member");
    }
    for (size_t i = 0; i < list.size(); ++i) {
      check(list[i], *shape.element, fmt::format("{}.{}.member", path, i + 1));
    }
  }

  void check_map(const json::value& whole, const Shape& shape, const std::string& path) {
    const json::object& map = whole.get_object();
    check_length(static_cast<int64_t>(map.size()), print(whole), shape, path);
    std::vector<const json::value*> values;
    bool has_wrong_key = false;
    for (const auto& [key, value] : map) {
      has_wrong_key |= !fits({key.data(), key.size()}, *shape.key);
      values.push_back(&value);
    }
    if (has_wrong_key) {
      violate(print(whole), path,
              fmt::format("Map keys must satisfy constraint: {}", constraints_of(*shape.key)));
    }
    check_elements(whole, values, *shape.element, path, "Map value");
  }

  void check_structure(const json::object& object, const Shape& shape, const std::string& path) {
    for (const Member& member : shape.members) {
      std::string member_path = (path.empty() ? "" : path + ".") + lower_camel(member.name);
      const json::value* value = json::find(object, member.name);
      if (value != nullptr) {
        check(*value, *member.shape, member_path);
      } else if (member.is_required) {
        violations_.push_back(
            fmt::format("Value null at '{}' failed to satisfy constraint: Member must not be null",
                        member_path));
      }
    }
  }

  std::vector<std::string> violations_;
  std::string wrong_type_;
};

}  // namespace

const Shape* Shape::member(std::string_view name) const {
  auto found = std::find_if(members.begin(), members.end(),
                            [&](const Member& member) { return member.name == name; });
  return found == members.end() ? nullptr : found->shape;
}

std::optional<aws::Fault> check(const json::object& document, const Shape& shape) {
  Checker checker;
  checker.check(document, shape, "");
  return checker.result();
}

}  // namespace trainyard::api
