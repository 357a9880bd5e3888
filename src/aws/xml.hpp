// SPDX-License-Identifier: Apache-2.0
// Writes the XML documents of S3 and of the query protocol.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::aws {

// Text content: & < > " and carriage return escaped. Characters that XML 1.0 cannot hold become
// character references, as S3 sends them; invalid UTF-8 becomes U+FFFD.
std::string escape_xml(std::string_view text);

//   XmlWriter xml;
//   xml.open("Owner").add("ID", id).close();
//   return xml.text();
class XmlWriter {
 public:
  XmlWriter() : text_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {}

  XmlWriter& open(std::string_view name, std::string_view xml_namespace = {});
  XmlWriter& close();
  XmlWriter& add(std::string_view name, std::string_view value);
  XmlWriter& add(std::string_view name, const char* value) {
    return add(name, std::string_view(value));
  }
  XmlWriter& add(std::string_view name, bool value) { return add(name, value ? "true" : "false"); }
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) XmlWriter& add(std::string_view name, Number value) {
    return add(name, std::string_view(std::to_string(value)));
  }

  // Requires: all that was opened is closed.
  std::string text() &&;

 private:
  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace trainyard::aws
