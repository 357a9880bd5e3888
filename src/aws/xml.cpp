// SPDX-License-Identifier: Apache-2.0
#include "aws/xml.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

std::string escape_xml(std::string_view text) {
  std::string result;
  for (char c : to_valid_utf8(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\t':
      case '\n':
        result += c;
        break;
      default:
        bool is_control = static_cast<unsigned char>(c) < 0x20;
        if (is_control)
          result += fmt::format("&#x{:x};", static_cast<unsigned char>(c));
        else
          result += c;
    }
  }
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
  text_ += fmt::format("<{0}>{1}</{0}>", name, escape_xml(value));
  return *this;
}

std::string XmlWriter::text() && {
  CHECK(open_.empty(), "every open() has its close()");
  return std::move(text_);
}

}  // namespace trainyard::aws
