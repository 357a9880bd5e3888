// SPDX-License-Identifier: Apache-2.0
#include "aws/xml.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

namespace {

bool is_plain(char c) {
  return c >= ' ' && c < 127 && c != '&' && c != '<' && c != '>' && c != '"';
}

void append_escaped(std::string& result, char c) {
  switch (c) {
    case '&':
      result += "&amp;";
      return;
    case '<':
      result += "&lt;";
      return;
    case '>':
      result += "&gt;";
      return;
    case '"':
      result += "&quot;";
      return;
    case '\t':
    case '\n':
      result += c;
      return;
    default:
      bool is_control = static_cast<unsigned char>(c) < 0x20;
      if (is_control)
        result += fmt::format("&#x{:x};", static_cast<unsigned char>(c));
      else
        result += c;
  }
}

void append_escaped(std::string& result, std::string_view text) {
  // Listings are long, and nearly all of them is this.
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    result += text;
    return;
  }
  bool is_ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
  std::string valid = is_ascii ? "" : to_valid_utf8(text);
  for (char c : is_ascii ? text : valid) append_escaped(result, c);
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string result;
  append_escaped(result, text);
  return result;
}

XmlWriter& XmlWriter::open(std::string_view name, std::string_view xml_namespace) {
  text_ += xml_namespace.empty() ? fmt::format("<{}>", name)
                                 : fmt::format("<{} xmlns=\"{}\">", name, xml_namespace);
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::close() {
  CHECK(!open_.empty(), "close() follows an open()");
  text_ += fmt::format("</{}>", open_.back());
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::add(std::string_view name, std::string_view value) {
  text_ += '<';
  text_ += name;
  text_ += '>';
  append_escaped(text_, value);
  text_ += "</";
  text_ += name;
  text_ += '>';
  return *this;
}

std::string XmlWriter::text() && {
  CHECK(open_.empty(), "every open() has its close()");
  return std::move(text_);
}

}  // namespace trainyard::aws
