// SPDX-License-Identifier: Apache-2.0
// One S3 request, taken apart, and the answers that several actions share. Internal to api/s3/.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "aws/xml.hpp"
#include "http/message.hpp"
#include "objects/object_store.hpp"

namespace trainyard::api::s3 {

constexpr std::string_view kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
struct Target {
  std::string bucket;  // empty: the service itself
  std::string key;     // empty: the bucket itself
};

// From the path, or where the host is "<bucket>.localhost" or "<bucket>.s3.….amazonaws.com", from
// both. nullopt: a '%' without two hex digits.
std::optional<Target> parse_target(std::string_view host, std::string_view path);

struct Call {
  const http::Request& request;
  http::Body& body;  // verified and decoded
  objects::ObjectStore& store;
  std::string region;
  std::string bucket;
  std::string key;
  std::map<std::string, std::string> query;

  std::optional<std::string> parameter(const std::string& name) const;
  // A header that is there and not empty.
  std::optional<std::string> header(std::string_view name) const;
};

using Reply = objects::Answer<http::Response>;

http::Response xml_response(aws::XmlWriter&& xml);
http::Response empty_response(int status);

std::string quote_etag(std::string_view etag);
std::string unquote_etag(std::string_view etag);

// What a PUT says about its bytes: Content-MD5, x-amz-checksum-*, x-amz-trailer.
objects::Answer<objects::Claims> read_claims(const Call& call);

// The headers that a GET gives back: content-type, cache-control, x-amz-meta-*, …
std::map<std::string, std::string> kept_headers(const http::Headers& headers);

// x-amz-checksum-<algorithm> and x-amz-checksum-type.
void add_checksum(http::Headers& headers, const objects::Checksum& checksum);
void add_checksum(aws::XmlWriter& xml, const objects::Checksum& checksum);

// "/bucket/key" of x-amz-copy-source, percent-encoded.
objects::Answer<Target> parse_copy_source(std::string_view header);

// If-Match, If-None-Match, If-(Un)Modified-Since, with the header names' `prefix`
// ("x-amz-copy-source-" or none): 0 where they hold, else 304 or 412.
int failed_precondition(const Call& call, std::string_view prefix, const objects::Object& object);

// "bytes=0-9": the asked range of an object of that size. A header that is no single byte range is
// ignored, as RFC 9110 says; one outside the object is InvalidRange.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};
objects::Answer<std::optional<ByteRange>> parse_range(std::string_view header, uint64_t size);

}  // namespace trainyard::api::s3
