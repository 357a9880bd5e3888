// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/s3/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::s3 {

using objects::refuse;

namespace {

// What the two versions of the listing share.
struct Page {
  objects::ListQuery query;
  bool is_url_encoded = false;
  bool has_files = false;  // our own agents ask where the bytes lie: transfer/s3_access.hpp

  std::string text(std::string_view key) const {
    return is_url_encoded ? percent_encode(key, true) : std::string(key);
  }
};

objects::Answer<Page> read_page(const Call& call) {
  constexpr uint64_t kMaxKeys = 1000;
  Page page;
  page.query.prefix = call.parameter("prefix").value_or("");
  page.query.delimiter = call.parameter("delimiter").value_or("");
  std::string encoding = call.parameter("encoding-type").value_or("");
  if (!encoding.empty() && encoding != "url") {
    return refuse("InvalidArgument", "Invalid Encoding Method specified in Request");
  }
  page.is_url_encoded = encoding == "url";
  page.has_files = call.header("x-trainyard-files").has_value();
  if (auto text = call.parameter("max-keys"); text && !text->empty()) {
    auto limit = parse_unsigned(*text);
    if (!limit) return refuse("InvalidArgument", "Argument max-keys must be an integer");
    page.query.limit = std::min(*limit, kMaxKeys);
  }
  return page;
}

void write_page(aws::XmlWriter& xml, const Call& call, const Page& page,
                const objects::Listing& listing) {
  xml.add("Name", call.bucket).add("Prefix", page.text(page.query.prefix));
  if (!page.query.delimiter.empty()) xml.add("Delimiter", page.text(page.query.delimiter));
  xml.add("MaxKeys", page.query.limit);
  if (page.is_url_encoded) xml.add("EncodingType", "url");
  xml.add("IsTruncated", listing.is_truncated);
  for (const objects::Object& object : listing.objects) {
    xml.open("Contents").add("Key", page.text(object.key));
    xml.add("LastModified", format_iso8601(object.modified));
    xml.add("ETag", quote_etag(object.etag));
    if (object.checksum) {
      xml.add("ChecksumAlgorithm", objects::api_name(object.checksum->algorithm));
      xml.add("ChecksumType", object.checksum->is_composite ? "COMPOSITE" : "FULL_OBJECT");
    }
    xml.add("Size", object.size).add("StorageClass", "STANDARD");
    if (page.has_files) xml.add("File", percent_encode(call.store.file_of(object).string(), true));
    xml.close();
  }
  for (const std::string& prefix : listing.common_prefixes) {
    xml.open("CommonPrefixes").add("Prefix", page.text(prefix)).close();
  }
}

}  // namespace

Reply list_objects(const Call& call) {
  Page page = TRY(read_page(call));
  page.query.after = call.parameter("marker").value_or("");
  auto listing = TRY(call.store.list(call.bucket, page.query));
  aws::XmlWriter xml;
  xml.open("ListBucketResult", kNamespace);
  xml.add("Marker", page.text(page.query.after));
  if (listing.is_truncated) xml.add("NextMarker", page.text(listing.last));
  write_page(xml, call, page, listing);
  xml.close();
  return xml_response(std::move(xml));
}

Reply list_objects_v2(const Call& call) {
  Page page = TRY(read_page(call));
  std::string start_after = call.parameter("start-after").value_or("");
  page.query.after = start_after;
  auto token = call.parameter("continuation-token");
  if (token) {
    auto last = from_base64(*token);
    if (!last || last->empty()) {
      return refuse("InvalidArgument", "The continuation token provided is incorrect");
    }
    page.query.after = *last;
  }
  auto listing = TRY(call.store.list(call.bucket, page.query));
  aws::XmlWriter xml;
  xml.open("ListBucketResult", kNamespace);
  if (!start_after.empty()) xml.add("StartAfter", page.text(start_after));
  if (token) xml.add("ContinuationToken", *token);
  if (listing.is_truncated) xml.add("NextContinuationToken", to_base64(listing.last));
  xml.add("KeyCount", listing.objects.size() + listing.common_prefixes.size());
  write_page(xml, call, page, listing);
  xml.close();
  return xml_response(std::move(xml));
}

}  // namespace trainyard::api::s3
