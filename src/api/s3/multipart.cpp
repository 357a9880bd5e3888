// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <pugixml.hpp>

#include "api/s3/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::s3 {

using objects::refuse;

namespace {

objects::Answer<int> part_number(const Call& call) {
  auto number = parse_unsigned(call.parameter("partNumber").value_or(""));
  if (!number || *number < 1 || *number > 10'000) {
    return refuse("InvalidArgument", "Part number must be an integer between 1 and 10000");
  }
  return static_cast<int>(*number);
}

std::string upload_id(const Call& call) {
  return call.parameter("uploadId").value_or("");
}

objects::Answer<std::vector<objects::PartChoice>> read_choices(std::string_view text) {
  pugi::xml_document document;
  pugi::xml_node root;
  if (document.load_buffer(text.data(), text.size())) {
    root = document.child("CompleteMultipartUpload");
  }
  if (!root) return refuse("MalformedXML", "The XML is no CompleteMultipartUpload document");
  std::vector<objects::PartChoice> choices;
  for (pugi::xml_node part : root.children("Part")) {
    auto number = parse_unsigned(trim(part.child_value("PartNumber")));
    if (!number || *number > 10'000) return refuse("MalformedXML", "A part has no PartNumber");
    choices.push_back({static_cast<int>(*number), unquote_etag(trim(part.child_value("ETag")))});
  }
  return choices;
}

}  // namespace

Reply create_multipart_upload(const Call& call) {
  objects::UploadOptions options;
  options.headers = kept_headers(call.request.headers);
  options.tagging = call.header("x-amz-tagging").value_or("");
  if (auto name = call.header("x-amz-checksum-algorithm")) {
    options.algorithm = objects::parse_checksum_algorithm(*name);
    if (!options.algorithm) {
      return refuse("InvalidRequest", "Checksum algorithm provided is unsupported.");
    }
  }
  // CreateMultipartUpload, ChecksumType: CRC64NVME is always over the full object.
  bool is_full =
      equal_ignoring_case(call.header("x-amz-checksum-type").value_or(""), "FULL_OBJECT") ||
      options.algorithm == objects::ChecksumAlgorithm::crc64nvme;
  options.is_composite = !is_full;
  auto upload = TRY(call.store.begin_upload(call.bucket, call.key, options));
  aws::XmlWriter xml;
  xml.open("InitiateMultipartUploadResult", kNamespace);
  xml.add("Bucket", call.bucket).add("Key", call.key).add("UploadId", upload.id).close();
  http::Response response = xml_response(std::move(xml));
  if (options.algorithm) {
    response.headers.add("x-amz-checksum-algorithm", objects::api_name(*options.algorithm));
    response.headers.add("x-amz-checksum-type", is_full ? "FULL_OBJECT" : "COMPOSITE");
  }
  return response;
}

Reply upload_part(const Call& call) {
  int number = TRY(part_number(call));
  auto claims = TRY(read_claims(call));
  claims.is_etag_opaque = call.header("x-trainyard-etag") == "opaque";
  auto part =
      TRY(call.store.put_part(call.bucket, call.key, upload_id(call), number, call.body, claims));
  http::Response response = empty_response(200);
  response.headers.add("ETag", quote_etag(part.etag));
  if (part.checksum) {
    response.headers.add(objects::header_name(part.checksum->algorithm), part.checksum->value);
  }
  return response;
}

Reply upload_part_copy(const Call& call) {
  int number = TRY(part_number(call));
  Target source = TRY(parse_copy_source(*call.header("x-amz-copy-source")));
  auto found = TRY(call.store.open_object(source.bucket, source.key));
  if (failed_precondition(call, "x-amz-copy-source-", found.object) != 0) {
    return refuse("PreconditionFailed",
                  "At least one of the pre-conditions you specified did not hold");
  }
  auto range = parse_range(call.request.headers.get("x-amz-copy-source-range"), found.object.size);
  if (!range) return tl::unexpected(range.error());
  ByteRange bytes = range->value_or(ByteRange{0, found.object.size});
  http::FileBody body({found.file, bytes.offset, bytes.length});
  auto part = TRY(call.store.put_part(call.bucket, call.key, upload_id(call), number, body, {},
                                      objects::PartFile::own));
  aws::XmlWriter xml;
  xml.open("CopyPartResult", kNamespace).add("ETag", quote_etag(part.etag));
  xml.add("LastModified", format_iso8601(part.modified)).close();
  return xml_response(std::move(xml));
}

Reply complete_multipart_upload(const Call& call) {
  constexpr size_t kMaxBody = 4 << 20;
  objects::Completion completion;
  completion.parts = TRY(read_choices(TRY(http::read_all(call.body, kMaxBody))));
  completion.checksum = TRY(read_claims(call)).checksum;
  if (auto match = call.header("If-Match")) completion.condition.if_match = unquote_etag(*match);
  completion.condition.if_absent = call.header("If-None-Match").has_value();
  auto object = TRY(call.store.complete_upload(call.bucket, call.key, upload_id(call), completion));
  aws::XmlWriter xml;
  xml.open("CompleteMultipartUploadResult", kNamespace);
  xml.add("Location", fmt::format("/{}/{}", call.bucket, percent_encode(call.key, true)));
  xml.add("Bucket", call.bucket).add("Key", call.key).add("ETag", quote_etag(object.etag));
  if (object.checksum) add_checksum(xml, *object.checksum);
  xml.close();
  return xml_response(std::move(xml));
}

Reply abort_multipart_upload(const Call& call) {
  TRY(call.store.abort_upload(call.bucket, call.key, upload_id(call)));
  return empty_response(204);
}

Reply list_parts(const Call& call) {
  auto after = parse_unsigned(call.parameter("part-number-marker").value_or("0")).value_or(0);
  auto limit = std::clamp<uint64_t>(
      parse_unsigned(call.parameter("max-parts").value_or("1000")).value_or(1000), 1, 1000);
  auto parts = TRY(call.store.parts(call.bucket, call.key, upload_id(call)));
  std::erase_if(parts, [&](const objects::Part& part) {
    return static_cast<uint64_t>(part.number) <= after;
  });
  bool is_truncated = parts.size() > limit;
  if (is_truncated) parts.resize(limit);
  aws::XmlWriter xml;
  xml.open("ListPartsResult", kNamespace).add("Bucket", call.bucket).add("Key", call.key);
  xml.add("UploadId", upload_id(call)).add("PartNumberMarker", after).add("MaxParts", limit);
  if (is_truncated) xml.add("NextPartNumberMarker", parts.back().number);
  xml.add("IsTruncated", is_truncated);
  for (const objects::Part& part : parts) {
    xml.open("Part").add("PartNumber", part.number).add("ETag", quote_etag(part.etag));
    xml.add("LastModified", format_iso8601(part.modified)).add("Size", part.size);
    if (part.checksum) {
      xml.add(fmt::format("Checksum{}", objects::api_name(part.checksum->algorithm)),
              part.checksum->value);
    }
    xml.close();
  }
  xml.close();
  return xml_response(std::move(xml));
}

Reply list_multipart_uploads(const Call& call) {
  std::string prefix = call.parameter("prefix").value_or("");
  auto uploads = TRY(call.store.uploads(call.bucket, prefix));
  bool is_url_encoded = call.parameter("encoding-type") == "url";
  aws::XmlWriter xml;
  xml.open("ListMultipartUploadsResult", kNamespace).add("Bucket", call.bucket);
  xml.add("KeyMarker", "").add("UploadIdMarker", "").add("Prefix", prefix);
  xml.add("MaxUploads", 1000).add("IsTruncated", false);
  if (is_url_encoded) xml.add("EncodingType", "url");
  for (const objects::Upload& upload : uploads) {
    xml.open("Upload");
    xml.add("Key", is_url_encoded ? percent_encode(upload.key, true) : upload.key);
    xml.add("UploadId", upload.id).add("StorageClass", "STANDARD");
    xml.add("Initiated", format_iso8601(upload.started)).close();
  }
  xml.close();
  return xml_response(std::move(xml));
}

}  // namespace trainyard::api::s3
