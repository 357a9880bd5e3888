// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/s3/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::s3 {

namespace {

http::Headers headers_of(const Call& call, const objects::Object& object, bool is_whole) {
  http::Headers headers{{"ETag", quote_etag(object.etag)},
                        {"Last-Modified", format_http_date(object.modified)},
                        {"Accept-Ranges", "bytes"}};
  headers.add("Content-Type", "binary/octet-stream");
  for (const auto& [name, value] : object.headers) headers.set(name, value);
  // GetObject, response-content-type and its kin: a presigned URL may say what it is to come back
  // as.
  for (const char* name : {"content-type", "content-language", "expires", "cache-control",
                           "content-disposition", "content-encoding"}) {
    if (auto value = call.parameter(std::string("response-") + name)) headers.set(name, *value);
  }
  bool is_asked = equal_ignoring_case(call.request.headers.get("x-amz-checksum-mode"), "ENABLED");
  if (is_asked && is_whole && object.checksum) add_checksum(headers, *object.checksum);
  if (!object.tagging.empty()) {
    auto count = std::count(object.tagging.begin(), object.tagging.end(), '&') + 1;
    headers.add("x-amz-tagging-count", std::to_string(count));
  }
  return headers;
}

}  // namespace

Reply get_object(const Call& call) {
  auto found = TRY(call.store.open_object(call.bucket, call.key));
  const objects::Object& object = found.object;
  int failed = failed_precondition(call, "", object);
  if (failed == 412) {
    return objects::refuse("PreconditionFailed",
                           "At least one of the pre-conditions you specified did not hold");
  }
  http::Response response;
  if (failed == 304) {
    response.status = 304;
    response.headers = headers_of(call, object, false);
    return response;
  }
  auto range_or_refusal = parse_range(call.request.headers.get("Range"), object.size);
  if (!range_or_refusal) return tl::unexpected(range_or_refusal.error());
  const auto& range = *range_or_refusal;
  response.headers = headers_of(call, object, !range);
  ByteRange sent = range.value_or(ByteRange{0, object.size});
  if (range) {
    response.status = 206;
    response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", sent.offset,
                                                      sent.offset + sent.length - 1, object.size));
  }
  if (call.request.method == "HEAD") {
    response.headers.add("Content-Length", std::to_string(sent.length));
  } else {
    response.body = http::FileRange{found.file, sent.offset, sent.length};
  }
  return response;
}

}  // namespace trainyard::api::s3
