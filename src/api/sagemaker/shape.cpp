// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/shape.hpp"

#include <algorithm>
#include <regex>

#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

// std::regex recurses per character; a longer text fails by its length anyway.
constexpr size_t kMaxMatched = 8192;

bool matches(std::string_view text, const std::string& pattern) {
  if (text.size() > kMaxMatched) return true;
  return std::regex_match(text.begin(), text.end(), std::regex(pattern));
}

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
        check_range(value.to_number<int64_t>(), shape, path);
        break;
      case Shape::Kind::list:
        check_list(value.get_array(), shape, path);
        break;
      case Shape::Kind::map:
        check_map(value.get_object(), shape, path);
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
        return value.is_int64();
      case Shape::Kind::flag:
        return value.is_bool();
      case Shape::Kind::list:
        return value.is_array();
      case Shape::Kind::map:
      case Shape::Kind::structure:
        return value.is_object();
      case Shape::Kind::anything:
        break;
    }
    return true;
  }

  static std::string_view word(Shape::Kind kind) {
    switch (kind) {
      case Shape::Kind::text:
        return "a string";
      case Shape::Kind::integer:
        return "an integer";
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
    if (!shape.values.empty() &&
        std::find(shape.values.begin(), shape.values.end(), value) == shape.values.end()) {
      violate(
          value, path,
          fmt::format("Member must satisfy enum value set: [{}]", fmt::join(shape.values, ", ")));
    }
    if (!shape.pattern.empty() && !matches(value, shape.pattern)) {
      std::string help = is_local_path(value) ? shape.local_path_help : "";
      violate(value, path,
              fmt::format("Member must satisfy regular expression pattern: ^{}{}", shape.pattern,
                          help));
    }
    check_length(length_of(value), value, shape, path);
  }

  void check_length(int64_t length, std::string_view value, const Shape& shape,
                    const std::string& path) {
    if (length < shape.min) {
      violate(value, path,
              fmt::format("Member must have length greater than or equal to {}", shape.min));
    }
    if (length > shape.max) {
      violate(value, path,
              fmt::format("Member must have length less than or equal to {}", shape.max));
    }
  }

  void check_range(int64_t number, const Shape& shape, const std::string& path) {
    std::string value = std::to_string(number);
    if (number < shape.min) {
      violate(value, path,
              fmt::format("Member must have value greater than or equal to {}", shape.min));
    }
    if (number > shape.max) {
      violate(value, path,
              fmt::format("Member must have value less than or equal to {}", shape.max));
    }
  }

  void check_list(const json::array& list, const Shape& shape, const std::string& path) {
    check_length(static_cast<int64_t>(list.size()), "[...]", shape, path);
    for (size_t i = 0; i < list.size(); ++i) {
      check(list[i], *shape.element, fmt::format("{}.{}.member", path, i + 1));
    }
  }

  void check_map(const json::object& map, const Shape& shape, const std::string& path) {
    check_length(static_cast<int64_t>(map.size()), "{...}", shape, path);
    for (const auto& [key, value] : map) {
      std::string_view name(key.data(), key.size());
      check_text(name, *shape.key, path + ".key");
      check(value, *shape.element, fmt::format("{}.{}", path, cut_middle(name, 64)));
    }
  }

  void check_structure(const json::object& object, const Shape& shape, const std::string& path) {
    for (const Member& member : shape.members) {
      std::string member_path = (path.empty() ? "" : path + ".") + lower_camel(member.name);
      const json::value* value = json::find(object, member.name);
      if (value != nullptr) {
        check(*value, member.shape, member_path);
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

Shape make(Shape::Kind kind, int64_t min, int64_t max) {
  Shape shape;
  shape.kind = kind;
  shape.min = min;
  shape.max = max;
  return shape;
}

}  // namespace

Shape Shape::matching(std::string regex) && {
  pattern = std::move(regex);
  return std::move(*this);
}

Shape text(int64_t min, int64_t max) {
  return make(Shape::Kind::text, min, max);
}
Shape integer(int64_t min, int64_t max) {
  return make(Shape::Kind::integer, min, max);
}
Shape flag() {
  return make(Shape::Kind::flag, 0, INT64_MAX);
}
Shape anything() {
  return {};
}

Shape one_of(std::vector<std::string> values) {
  Shape shape = make(Shape::Kind::text, 0, INT64_MAX);
  shape.values = std::move(values);
  return shape;
}

Shape list(Shape element, int64_t min, int64_t max) {
  Shape shape = make(Shape::Kind::list, min, max);
  shape.element = std::make_shared<Shape>(std::move(element));
  return shape;
}

Shape map(Shape key, Shape value, int64_t max) {
  Shape shape = make(Shape::Kind::map, 0, max);
  shape.key = std::make_shared<Shape>(std::move(key));
  shape.element = std::make_shared<Shape>(std::move(value));
  return shape;
}

Shape structure(std::vector<Member> members) {
  Shape shape = make(Shape::Kind::structure, 0, INT64_MAX);
  shape.members = std::move(members);
  return shape;
}

std::optional<aws::Fault> check(const json::object& document, const Shape& shape) {
  Checker checker;
  checker.check(document, shape, "");
  return checker.result();
}

}  // namespace trainyard::api::sagemaker
