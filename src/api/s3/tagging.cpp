// SPDX-License-Identifier: Apache-2.0
#include <pugixml.hpp>

#include "api/s3/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::s3 {

Reply get_object_tagging(const Call& call) {
  auto object = TRY(call.store.head(call.bucket, call.key));
  http::Request as_query;
  as_query.query = object.tagging;
  auto tags = as_query.query_parameters();
  if (!tags) return objects::refuse("InvalidArgument", "The object's tags are malformed");
  aws::XmlWriter xml;
  xml.open("Tagging", kNamespace).open("TagSet");
  for (const auto& [name, value] : *tags) {
    xml.open("Tag").add("Key", name).add("Value", value).close();
  }
  xml.close().close();
  return xml_response(std::move(xml));
}

Reply put_object_tagging(const Call& call) {
  constexpr size_t kMaxBody = 64 << 10;
  std::string text = TRY(http::read_all(call.body, kMaxBody));
  pugi::xml_document document;
  pugi::xml_node root;
  if (document.load_buffer(text.data(), text.size())) root = document.child("Tagging");
  if (!root) return objects::refuse("MalformedXML", "The XML is no Tagging document");
  std::string tagging;
  for (pugi::xml_node tag : root.child("TagSet").children("Tag")) {
    if (!tagging.empty()) tagging += '&';
    tagging +=
        percent_encode(tag.child_value("Key")) + "=" + percent_encode(tag.child_value("Value"));
  }
  TRY(call.store.set_tagging(call.bucket, call.key, tagging));
  return empty_response(200);
}

Reply delete_object_tagging(const Call& call) {
  TRY(call.store.set_tagging(call.bucket, call.key, ""));
  return empty_response(204);
}

}  // namespace trainyard::api::s3
