// SPDX-License-Identifier: Apache-2.0
#include "api/monitoring/wire.hpp"

#include <algorithm>

#include "aws/xml.hpp"
#include "base/clock.hpp"
#include "base/text.hpp"

namespace trainyard::api::monitoring {

namespace {

using Form = std::map<std::string, std::string>;

json::value scalar(const std::string& text, Shape::Kind kind) {
  switch (kind) {
    case Shape::Kind::integer:
    case Shape::Kind::long_integer:
      if (auto number = parse_signed(text)) return *number;
      break;
    case Shape::Kind::number:
      if (auto number = parse_double(text)) return *number;
      break;
    case Shape::Kind::flag:
      if (text == "true" || text == "false") return text == "true";
      break;
    case Shape::Kind::timestamp:
      if (auto time = parse_iso8601(text)) return static_cast<double>(to_epoch_ms(*time)) / 1000.0;
      if (auto seconds = parse_double(text)) return *seconds;
      break;
    default:
      break;
  }
  return json::value(text);
}

bool has_prefix(const Form& form, const std::string& prefix) {
  auto found = form.lower_bound(prefix);
  return found != form.end() && found->first.starts_with(prefix);
}

// The value whose parameters begin with `name`; null where there are none.
json::value read(const Form& form, const std::string& name, const Shape& shape) {
  if (shape.kind == Shape::Kind::structure) {
    json::object object;
    std::string prefix = name.empty() ? "" : name + ".";
    for (const Member& member : shape.members) {
      json::value value = read(form, prefix + member.name, *member.shape);
      if (!value.is_null()) object[member.name] = std::move(value);
    }
    return object.empty() && !name.empty() ? json::value() : json::value(object);
  }
  if (shape.kind == Shape::Kind::list) {
    json::array list;
    for (size_t i = 1;; ++i) {
      std::string element = fmt::format("{}.member.{}", name, i);
      if (!form.contains(element) && !has_prefix(form, element + ".")) break;
      list.push_back(read(form, element, *shape.element));
    }
    return list.empty() ? json::value() : json::value(list);
  }
  auto found = form.find(name);
  return found == form.end() ? json::value() : scalar(found->second, shape.kind);
}

std::string text_of(const json::value& value, bool is_time) {
  if (is_time) {
    return format_iso8601(
        from_epoch_ms(static_cast<int64_t>(value.to_number<double>() * 1000.0 + 0.5)));
  }
  if (value.is_string()) return std::string(json::view(value.get_string()));
  if (value.is_double()) return fmt::format("{}", value.get_double());
  return json::serialize(value);
}

void write(aws::XmlWriter& xml, std::string_view name, const json::value& value, bool is_time) {
  if (const json::object* object = value.if_object()) {
    xml.open(name);
    for (const auto& [key, part] : *object) {
      std::string_view part_name(key.data(), key.size());
      bool is_part_time =
          std::find(kTimestamps.begin(), kTimestamps.end(), part_name) != kTimestamps.end();
      write(xml, part_name, part, is_part_time);
    }
    xml.close();
  } else if (const json::array* list = value.if_array()) {
    xml.open(name);
    for (const json::value& element : *list) write(xml, "member", element, is_time);
    xml.close();
  } else {
    xml.add(name, std::string_view(text_of(value, is_time)));
  }
}

}  // namespace

json::object from_form(const Form& form, const Shape& shape) {
  return read(form, "", shape).get_object();
}

std::string to_xml(std::string_view action, const json::object& answer,
                   std::string_view request_id) {
  aws::XmlWriter xml;
  xml.open(fmt::format("{}Response", action), "http://monitoring.amazonaws.com/doc/2010-08-01/");
  write(xml, fmt::format("{}Result", action), answer, false);
  xml.open("ResponseMetadata").add("RequestId", request_id).close().close();
  return std::move(xml).text();
}

}  // namespace trainyard::api::monitoring
