// SPDX-License-Identifier: Apache-2.0
#include "api/s3/call.hpp"

#include <algorithm>
#include <array>

#include "aws/s3_host.hpp"
#include "base/text.hpp"

namespace trainyard::api::s3 {

using objects::refuse;

namespace {

// Header fields that are the object's, beside x-amz-meta-*.
constexpr std::array<std::string_view, 7> kObjectHeaders = {"content-type",
                                                            "content-encoding",
                                                            "content-disposition",
                                                            "content-language",
                                                            "cache-control",
                                                            "expires",
                                                            "x-amz-website-redirect-location"};

// S3 stores "gzip" for "aws-chunked,gzip": aws-chunked is undone on arrival.
std::string without_aws_chunked(std::string_view encoding) {
  std::string result;
  for (std::string_view piece : split(encoding, ',')) {
    piece = trim(piece);
    if (piece.empty() || equal_ignoring_case(piece, "aws-chunked")) continue;
    result += (result.empty() ? "" : ",") + std::string(piece);
  }
  return result;
}

bool names_etag(std::string_view header, std::string_view etag) {
  for (std::string_view piece : split(header, ',')) {
    piece = trim(piece);
    if (piece.starts_with("W/")) piece.remove_prefix(2);
    if (piece == "*" || unquote_etag(piece) == etag) return true;
  }
  return false;
}

std::chrono::seconds seconds_of(Time time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
}

}  // namespace

std::optional<Target> parse_target(std::string_view host, std::string_view path) {
  Target target;
  target.bucket = aws::bucket_of_host(host);
  path.remove_prefix(1);
  if (target.bucket.empty()) {
    size_t slash = std::min(path.find('/'), path.size());
    auto bucket = percent_decode(path.substr(0, slash));
    if (!bucket) return std::nullopt;
    target.bucket = *bucket;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  auto key = percent_decode(path);
  if (!key) return std::nullopt;
  target.key = *key;
  return target;
}

std::optional<std::string> Call::parameter(const std::string& name) const {
  auto found = query.find(name);
  return found == query.end() ? std::nullopt : std::optional<std::string>(found->second);
}

std::optional<std::string> Call::header(std::string_view name) const {
  std::string_view value = request.headers.get(name);
  return value.empty() ? std::nullopt : std::optional<std::string>(value);
}

http::Response xml_response(aws::XmlWriter&& xml) {
  return {200, {{"Content-Type", "application/xml"}}, std::move(xml).text()};
}

http::Response empty_response(int status) {
  return {status, {}, std::string()};
}

std::string quote_etag(std::string_view etag) {
  return fmt::format("\"{}\"", etag);
}

std::string unquote_etag(std::string_view etag) {
  bool is_quoted = etag.size() >= 2 && etag.front() == '"' && etag.back() == '"';
  return std::string(is_quoted ? etag.substr(1, etag.size() - 2) : etag);
}

objects::Answer<objects::Claims> read_claims(const Call& call) {
  objects::Claims claims;
  claims.md5 = call.header("Content-MD5");
  for (auto algorithm : objects::kChecksumAlgorithms) {
    std::string name = objects::header_name(algorithm);
    auto value = call.header(name);
    bool is_trailer = to_lower(call.header("x-amz-trailer").value_or("")) == name;
    if (!value && !is_trailer) continue;
    if (claims.algorithm) {
      return refuse("InvalidRequest",
                    "Expecting a single x-amz-checksum- header. Multiple checksum types are not "
                    "allowed.");
    }
    claims.algorithm = algorithm;
    claims.checksum = value;
  }
  auto asked = call.header("x-amz-sdk-checksum-algorithm");
  if (!claims.algorithm && asked) claims.algorithm = objects::parse_checksum_algorithm(*asked);
  return claims;
}

std::map<std::string, std::string> kept_headers(const http::Headers& headers) {
  std::map<std::string, std::string> kept;
  for (const auto& [name, value] : headers) {
    std::string lower = to_lower(name);
    bool is_kept =
        std::find(kObjectHeaders.begin(), kObjectHeaders.end(), lower) != kObjectHeaders.end() ||
        lower.starts_with("x-amz-meta-");
    std::string text = lower == "content-encoding" ? without_aws_chunked(value) : value;
    if (is_kept && !text.empty()) kept[lower] = text;
  }
  return kept;
}

void add_checksum(http::Headers& headers, const objects::Checksum& checksum) {
  headers.add(objects::header_name(checksum.algorithm), checksum.value);
  headers.add("x-amz-checksum-type", checksum.is_composite ? "COMPOSITE" : "FULL_OBJECT");
}

void add_checksum(aws::XmlWriter& xml, const objects::Checksum& checksum) {
  xml.add(fmt::format("Checksum{}", objects::api_name(checksum.algorithm)), checksum.value);
  xml.add("ChecksumType", checksum.is_composite ? "COMPOSITE" : "FULL_OBJECT");
}

objects::Answer<Target> parse_copy_source(std::string_view header) {
  if (header.starts_with('/')) header.remove_prefix(1);
  header = header.substr(0, header.find("?versionId="));
  auto path = percent_decode(header);
  size_t slash = path ? path->find('/') : std::string::npos;
  if (slash == std::string::npos || slash + 1 == path->size()) {
    return refuse("InvalidArgument", "x-amz-copy-source must be /bucket/key, percent-encoded");
  }
  return Target{path->substr(0, slash), path->substr(slash + 1)};
}

int failed_precondition(const Call& call, std::string_view prefix, const objects::Object& object) {
  auto condition = [&](std::string_view name) {
    return call.header(std::string(prefix) + std::string(name));
  };
  auto modified = seconds_of(object.modified);
  if (auto match = condition("if-match")) {
    if (!names_etag(*match, object.etag)) return 412;
  } else if (auto text = condition("if-unmodified-since")) {
    auto since = parse_http_date(*text);
    if (since && modified > seconds_of(*since)) return 412;
  }
  // RFC 9110, 13.2.2: a GET that would bring nothing new is 304; a copy then fails.
  int unchanged = prefix.empty() ? 304 : 412;
  if (auto none = condition("if-none-match")) {
    if (names_etag(*none, object.etag)) return unchanged;
  } else if (auto text = condition("if-modified-since")) {
    auto since = parse_http_date(*text);
    if (since && modified <= seconds_of(*since)) return unchanged;
  }
  return 0;
}

objects::Answer<std::optional<ByteRange>> parse_range(std::string_view header, uint64_t size) {
  if (!header.starts_with("bytes=") || header.find(',') != std::string_view::npos) {
    return std::nullopt;
  }
  header.remove_prefix(6);
  size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  auto first = parse_unsigned(header.substr(0, dash));
  auto last = parse_unsigned(header.substr(dash + 1));
  bool has_first = dash > 0;
  bool has_last = dash + 1 < header.size();
  if ((has_first && !first) || (has_last && !last) || (!has_first && !has_last)) {
    return std::nullopt;
  }
  if (first && last && *last < *first) return std::nullopt;
  uint64_t offset = first ? *first : size - std::min(size, *last);
  if (offset >= size) return refuse("InvalidRange", "The requested range is not satisfiable");
  uint64_t end = first && last && *last < size - 1 ? *last + 1 : size;
  return ByteRange{offset, end - offset};
}

}  // namespace trainyard::api::s3
