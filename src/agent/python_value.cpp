// SPDX-License-Identifier: Apache-2.0
#include "agent/python_value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace trainyard::agent {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_high_surrogate(char32_t point) {
  return point >= 0xD800 && point < 0xDC00;
}
constexpr bool is_low_surrogate(char32_t point) {
  return point >= 0xDC00 && point < 0xE000;
}

// float(text) of a text that the grammar below has let pass: too large becomes infinite.
double to_float(std::string_view text) {
  double number = 0;
  auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc::result_out_of_range) return number;
  bool is_small =
      text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
  number = is_small ? 0.0 : std::numeric_limits<double>::infinity();
  return text.front() == '-' ? -number : number;
}

// The grammar of Python's json.scanner. Members return nothing where it raises ValueError.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<PythonValue> document() {
    skip_blanks();
    auto value = any();
    skip_blanks();
    return value && at_ == text_.size() ? std::move(value) : std::nullopt;
  }

 private:
  using Found = std::optional<PythonValue>;

  // Python's own limit is that of its stack, about 1,000.
  static constexpr int kDeepest = 900;

  bool is_at(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  void skip_blanks() {
    while (is_at(' ') || is_at('\t') || is_at('\n') || is_at('\r')) ++at_;
  }

  Found any() {
    if (is_at('"')) {
      auto text = string();
      return text ? Found(std::move(*text)) : std::nullopt;
    }
    if (is_at('{') || is_at('[')) {
      if (depth_ >= kDeepest) return std::nullopt;
      ++depth_;
      Found found = is_at('{') ? dict() : list();
      --depth_;
      return found;
    }
    if (take("null")) return PythonValue();
    if (take("true")) return PythonValue(true);
    if (take("false")) return PythonValue(false);
    if (take("NaN")) return PythonValue(std::nan(""));
    if (take("Infinity")) return PythonValue(std::numeric_limits<double>::infinity());
    if (take("-Infinity")) return PythonValue(-std::numeric_limits<double>::infinity());
    return number();
  }

  size_t digits_from(size_t at) const {
    while (at < text_.size() && is_digit(text_[at])) ++at;
    return at;
  }

  Found number() {
    size_t begin = at_;
    size_t end = begin + (is_at('-') ? 1 : 0);
    size_t integral = digits_from(end);
    if (integral == end) return std::nullopt;
    if (text_[end] == '0') integral = end + 1;  // "01" is 0 and a rest that fails
    end = integral;
    if (end < text_.size() && text_[end] == '.' && digits_from(end + 1) > end + 1) {
      end = digits_from(end + 1);
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      size_t sign = end + 1;
      if (sign < text_.size() && (text_[sign] == '+' || text_[sign] == '-')) ++sign;
      if (digits_from(sign) > sign) end = digits_from(sign);
    }
    at_ = end;
    std::string digits(text_.substr(begin, end - begin));
    if (end != integral) return PythonValue(to_float(digits));
    return PythonValue(PythonInteger{digits == "-0" ? "0" : digits});
  }

  std::optional<char32_t> hex4(size_t at) const {
    uint32_t point = 0;
    std::string_view digits = text_.substr(std::min(at, text_.size()), 4);
    auto read = std::from_chars(digits.data(), digits.data() + digits.size(), point, 16);
    bool is_whole = digits.size() == 4 && read.ec == std::errc{} &&
                    read.ptr == digits.data() + digits.size() && digits.front() != '-';
    return is_whole ? std::optional<char32_t>(point) : std::nullopt;
  }

  // Behind "\u".
  std::optional<char32_t> escaped_point() {
    auto point = hex4(at_);
    if (!point) return std::nullopt;
    at_ += 4;
    if (!is_high_surrogate(*point) || !text_.substr(at_).starts_with("\\u")) return point;
    auto low = hex4(at_ + 2);
    if (!low || !is_low_surrogate(*low)) return point;
    at_ += 6;
    return 0x10000 + ((*point - 0xD800) << 10) + (*low - 0xDC00);
  }

  std::optional<std::string> string() {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    std::string text;
    for (++at_; at_ < text_.size();) {
      char c = text_[at_++];
      if (c == '"') return text;
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        text += c;
        continue;
      }
      if (at_ == text_.size()) return std::nullopt;
      char name = text_[at_++];
      if (size_t known = kNames.find(name); known != std::string_view::npos) {
        text += kMeant[known];
        continue;
      }
      auto point = name == 'u' ? escaped_point() : std::nullopt;
      if (!point) return std::nullopt;
      append_code_point(text, *point);
    }
    return std::nullopt;
  }

  Found list() {
    PythonList items;
    ++at_;
    skip_blanks();
    if (take("]")) return PythonValue(std::move(items));
    for (;;) {
      Found item = any();
      if (!item) return std::nullopt;
      items.push_back(std::move(*item));
      skip_blanks();
      if (take("]")) return PythonValue(std::move(items));
      if (!take(",")) return std::nullopt;
      skip_blanks();
    }
  }

  Found dict() {
    PythonDict members;
    ++at_;
    skip_blanks();
    if (take("}")) return PythonValue(std::move(members));
    for (;;) {
      if (!is_at('"')) return std::nullopt;
      auto key = string();
      skip_blanks();
      if (!key || !take(":")) return std::nullopt;
      skip_blanks();
      Found value = any();
      if (!value) return std::nullopt;
      assign(members, std::move(*key), std::move(*value));
      skip_blanks();
      if (take("}")) return PythonValue(std::move(members));
      if (!take(",")) return std::nullopt;
      skip_blanks();
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

bool PythonValue::is_true() const {
  if (const bool* truth = if_bool()) return *truth;
  if (const auto* number = if_integer()) return number->digits != "0";
  if (const double* number = if_float()) return *number != 0;  // NaN is true
  if (const auto* text = if_text()) return !text->empty();
  if (const auto* list = if_list()) return !list->empty();
  const auto* dict = if_dict();
  return dict != nullptr && !dict->empty();
}

std::optional<PythonValue> parse_python(std::string_view text) {
  return Parser(text).document();
}

PythonValue to_python(const json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return {};
    case boost::json::kind::bool_:
      return value.get_bool();
    case boost::json::kind::int64:
      return value.get_int64();
    case boost::json::kind::uint64:
      return value.get_uint64();
    case boost::json::kind::double_:
      return value.get_double();
    case boost::json::kind::string:
      return std::string(json::view(value.get_string()));
    case boost::json::kind::array: {
      PythonList list;
      for (const json::value& item : value.get_array()) list.push_back(to_python(item));
      return list;
    }
    case boost::json::kind::object: {
      PythonDict dict;
      for (const auto& [key, item] : value.get_object()) {
        dict.emplace_back(std::string(key.data(), key.size()), to_python(item));
      }
      return dict;
    }
  }
  return {};
}

const PythonValue* find(const PythonDict& dict, std::string_view key) {
  auto found = std::find_if(dict.begin(), dict.end(),
                            [&](const auto& member) { return member.first == key; });
  return found == dict.end() ? nullptr : &found->second;
}

void assign(PythonDict& dict, std::string key, PythonValue value) {
  auto found = std::find_if(dict.begin(), dict.end(),
                            [&](const auto& member) { return member.first == key; });
  if (found == dict.end()) {
    dict.emplace_back(std::move(key), std::move(value));
  } else {
    found->second = std::move(value);
  }
}

std::u32string code_points(std::string_view text) {
  std::u32string points;
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    constexpr std::array<unsigned char, 5> kBits = {0, 0x7F, 0x1F, 0x0F, 0x07};
    char32_t point = lead & kBits[length];
    for (size_t k = 1; k < length && i + k < text.size(); ++k) {
      point = (point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3F);
    }
    points += point;
    i += length;
  }
  return points;
}

void append_code_point(std::string& text, char32_t point) {
  auto add = [&](char32_t bits) { text += static_cast<char>(bits); };
  auto add_rest = [&](int shift) {
    for (; shift >= 0; shift -= 6) add(0x80 | ((point >> shift) & 0x3F));
  };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xC0 | (point >> 6));
    add_rest(0);
  } else if (point < 0x10000) {
    add(0xE0 | (point >> 12));
    add_rest(6);
  } else {
    add(0xF0 | (point >> 18));
    add_rest(12);
  }
}

}  // namespace trainyard::agent
