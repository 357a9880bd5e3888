// SPDX-License-Identifier: Apache-2.0
#include "transfer/s3_inspect.hpp"

#include <algorithm>
#include <pugixml.hpp>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

Result<pugi::xml_node> root_of(pugi::xml_document& document, const std::string& text,
                               const char* name, const S3Uri& object) {
  pugi::xml_node root;
  if (document.load_buffer(text.data(), text.size())) root = document.child(name);
  if (!root) return fail(Code::invalid, "{}: the answer is no {}", object.text(), name);
  return root;
}

std::string upload_query(const std::string& upload) {
  return "uploadId=" + percent_encode(upload);
}

}  // namespace

Result<ObjectHead> head_object(S3Client& client, const S3Uri& object) {
  http::Call call;
  call.headers.set("x-amz-checksum-mode", "ENABLED");
  auto answer = TRY(client.call("HEAD", object, "", std::move(call)));
  ObjectHead head;
  auto length = parse_unsigned(answer.headers.get("Content-Length"));
  if (!length) return fail(Code::invalid, "HEAD {}: no length came", object.text());
  head.size = *length;
  head.etag = answer.headers.get("ETag");
  auto checksum = answer.headers.find("x-amz-checksum-crc64nvme");
  bool is_whole = answer.headers.get("x-amz-checksum-type") != "COMPOSITE";
  if (checksum && is_whole) head.crc64nvme = std::string(*checksum);
  return head;
}

Result<> put_object(S3Client& client, const S3Uri& object, std::string bytes,
                    const std::string& crc64nvme) {
  http::Call call;
  call.headers.set("x-amz-checksum-crc64nvme", crc64nvme);
  call.body = std::move(bytes);
  TRY(client.call("PUT", object, "", std::move(call)));
  return {};
}

Result<std::vector<std::string>> unfinished_uploads(S3Client& client, const S3Uri& object) {
  std::string query = "encoding-type=url&prefix=" + percent_encode(object.key) + "&uploads=";
  auto answer = TRY(client.call("GET", {object.bucket, ""}, query, {}));
  pugi::xml_document document;
  auto root = TRY(root_of(document, answer.body, "ListMultipartUploadsResult", object));
  std::vector<std::string> ids;
  for (pugi::xml_node upload : root.children("Upload")) {
    if (percent_decode(upload.child_value("Key")) != object.key) continue;
    ids.emplace_back(upload.child_value("UploadId"));
  }
  return ids;
}

Result<std::vector<StoredPart>> stored_parts(S3Client& client, const S3Uri& object,
                                             const std::string& upload) {
  std::vector<StoredPart> parts;
  for (std::string marker;;) {
    std::string query = upload_query(upload);
    if (!marker.empty()) query = "part-number-marker=" + marker + "&" + query;
    auto answer = TRY(client.call("GET", object, query, {}));
    pugi::xml_document document;
    auto root = TRY(root_of(document, answer.body, "ListPartsResult", object));
    for (pugi::xml_node part : root.children("Part")) {
      auto number = parse_unsigned(part.child_value("PartNumber"));
      auto size = parse_unsigned(part.child_value("Size"));
      if (!number || *number < 1 || *number > 10'000 || !size) {
        return fail(Code::invalid, "{}: malformed list of parts", object.text());
      }
      parts.push_back({static_cast<int>(*number), *size, part.child_value("ETag")});
    }
    if (root.child_value("IsTruncated") != std::string_view("true")) break;
    std::string next = root.child_value("NextPartNumberMarker");
    if (next.empty() || next == marker) break;
    marker = next;
  }
  std::sort(parts.begin(), parts.end(),
            [](const StoredPart& a, const StoredPart& b) { return a.number < b.number; });
  return parts;
}

Result<std::string> begin_upload(S3Client& client, const S3Uri& object) {
  http::Call call;
  call.headers.set("x-amz-checksum-algorithm", "CRC64NVME");
  call.headers.set("x-amz-checksum-type", "FULL_OBJECT");
  auto answer = TRY(client.call("POST", object, "uploads=", std::move(call)));
  pugi::xml_document document;
  auto root = TRY(root_of(document, answer.body, "InitiateMultipartUploadResult", object));
  std::string id = root.child_value("UploadId");
  if (id.empty()) return fail(Code::invalid, "{}: S3 gave no upload id", object.text());
  return id;
}

Result<std::string> put_part(S3Client& client, const S3Uri& object, const std::string& upload,
                             int number, std::string bytes, const std::string& crc64nvme) {
  http::Call call;
  call.headers.set("x-amz-checksum-crc64nvme", crc64nvme);
  call.body = std::move(bytes);
  std::string query = fmt::format("partNumber={}&{}", number, upload_query(upload));
  auto answer = TRY(client.call("PUT", object, query, std::move(call)));
  return std::string(answer.headers.get("ETag"));
}

Result<> complete_upload(S3Client& client, const S3Uri& object, const std::string& upload,
                         const std::vector<StoredPart>& parts) {
  http::Call call;
  call.body = "<CompleteMultipartUpload>";
  for (const StoredPart& part : parts) {
    call.body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", part.number,
                             part.etag);
  }
  call.body += "</CompleteMultipartUpload>";
  TRY(client.call("POST", object, upload_query(upload), std::move(call)));
  return {};
}

}  // namespace trainyard::transfer
