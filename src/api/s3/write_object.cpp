// SPDX-License-Identifier: Apache-2.0
#include <pugixml.hpp>

#include "api/s3/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::s3 {

using objects::refuse;

namespace {

constexpr size_t kMaxXmlBody = 8 << 20;

objects::Answer<objects::WriteCondition> read_condition(const Call& call) {
  objects::WriteCondition condition;
  if (auto match = call.header("If-Match")) condition.if_match = unquote_etag(*match);
  if (auto none = call.header("If-None-Match")) {
    if (*none != "*") {
      return refuse("NotImplemented", "If-None-Match takes only '*' on a write");
    }
    condition.if_absent = true;
  }
  return condition;
}

http::Response written(const objects::Object& object) {
  http::Response response = empty_response(200);
  response.headers.add("ETag", quote_etag(object.etag));
  if (object.checksum) add_checksum(response.headers, *object.checksum);
  return response;
}

}  // namespace

Reply put_object(const Call& call) {
  objects::PutOptions options;
  options.headers = kept_headers(call.request.headers);
  options.tagging = call.header("x-amz-tagging").value_or("");
  options.claims = TRY(read_claims(call));
  options.condition = TRY(read_condition(call));
  return written(TRY(call.store.put(call.bucket, call.key, call.body, options)));
}

Reply copy_object(const Call& call) {
  Target source = TRY(parse_copy_source(*call.header("x-amz-copy-source")));
  auto found = TRY(call.store.open_object(source.bucket, source.key));
  if (failed_precondition(call, "x-amz-copy-source-", found.object) != 0) {
    return refuse("PreconditionFailed",
                  "At least one of the pre-conditions you specified did not hold");
  }
  bool is_replaced =
      equal_ignoring_case(call.header("x-amz-metadata-directive").value_or("COPY"), "REPLACE");
  if (!is_replaced && source.bucket == call.bucket && source.key == call.key) {
    return refuse("InvalidRequest",
                  "This copy request is illegal because it is trying to copy an object to itself "
                  "without changing the object's metadata.");
  }
  bool has_new_tags =
      equal_ignoring_case(call.header("x-amz-tagging-directive").value_or("COPY"), "REPLACE");
  objects::PutOptions options;
  options.headers = is_replaced ? kept_headers(call.request.headers) : found.object.headers;
  options.tagging = has_new_tags ? call.header("x-amz-tagging").value_or("") : found.object.tagging;
  options.claims.algorithm =
      objects::parse_checksum_algorithm(call.header("x-amz-checksum-algorithm").value_or(""));
  http::FileBody bytes({found.file, 0, found.object.size});
  auto copy = TRY(call.store.put(call.bucket, call.key, bytes, options));
  aws::XmlWriter xml;
  xml.open("CopyObjectResult", kNamespace).add("ETag", quote_etag(copy.etag));
  xml.add("LastModified", format_iso8601(copy.modified));
  if (copy.checksum) add_checksum(xml, *copy.checksum);
  xml.close();
  return xml_response(std::move(xml));
}

Reply delete_object(const Call& call) {
  TRY(call.store.remove(call.bucket, call.key));
  return empty_response(204);
}

Reply delete_objects(const Call& call) {
  constexpr size_t kMaxKeys = 1000;
  std::string text = TRY(http::read_all(call.body, kMaxXmlBody));
  pugi::xml_document document;
  // Keys may begin or end with blanks.
  auto parsed = document.load_buffer(text.data(), text.size(),
                                     pugi::parse_default | pugi::parse_ws_pcdata_single);
  pugi::xml_node root = document.child("Delete");
  if (!parsed || !root) return refuse("MalformedXML", "The XML is no DeleteObjects document");
  std::vector<std::string> keys;
  for (pugi::xml_node object : root.children("Object")) keys.push_back(object.child_value("Key"));
  if (keys.empty() || keys.size() > kMaxKeys) {
    return refuse("MalformedXML", "DeleteObjects takes between 1 and 1000 keys");
  }
  TRY(call.store.check_bucket(call.bucket));
  bool is_quiet = std::string_view(root.child_value("Quiet")) == "true";
  aws::XmlWriter xml;
  xml.open("DeleteResult", kNamespace);
  for (const std::string& key : keys) {
    auto removed = call.store.remove(call.bucket, key);
    if (!removed) {
      xml.open("Error").add("Key", key).add("Code", removed.error().code);
      xml.add("Message", removed.error().message).close();
    } else if (!is_quiet) {
      xml.open("Deleted").add("Key", key).close();
    }
  }
  xml.close();
  return xml_response(std::move(xml));
}

}  // namespace trainyard::api::s3
