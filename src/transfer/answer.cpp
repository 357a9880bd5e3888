// SPDX-License-Identifier: Apache-2.0
#include "transfer/answer.hpp"

#include <array>
#include <pugixml.hpp>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

using objects::ChecksumAlgorithm;

// Cheap to compute first.
constexpr std::array kPreferred = {ChecksumAlgorithm::crc64nvme, ChecksumAlgorithm::crc32c,
                                   ChecksumAlgorithm::crc32, ChecksumAlgorithm::sha256,
                                   ChecksumAlgorithm::sha1};

// The headers that decide about verification, collected before it is decided.
struct Checksums {
  std::array<std::string_view, kPreferred.size()> values;
  bool is_composite = false;
  bool is_encrypted = false;  // by a key of KMS or of the customer: the ETag is no MD5
};

void note_checksum(Checksums& checksums, std::string_view name, std::string_view value) {
  constexpr std::string_view kPrefix = "x-amz-checksum-";
  if (equal_ignoring_case(name, "x-amz-checksum-type")) {
    checksums.is_composite = !equal_ignoring_case(value, "FULL_OBJECT");
    return;
  }
  auto algorithm = objects::parse_checksum_algorithm(name.substr(kPrefix.size()));
  for (size_t i = 0; i < kPreferred.size(); ++i) {
    if (algorithm == kPreferred[i]) checksums.values[i] = value;
  }
}

Expectation expectation_of(const Checksums& checksums, std::string_view etag) {
  for (size_t i = 0; i < kPreferred.size() && !checksums.is_composite; ++i) {
    // "…-3" is a checksum of checksums of parts; no base64 has a '-'.
    auto digest = from_base64(checksums.values[i]);
    if (digest && digest->size() == objects::digest_size(kPreferred[i])) {
      return {Expectation::Kind::checksum, kPreferred[i], *digest};
    }
  }
  if (etag.size() == 34 && etag.front() == '"') etag = etag.substr(1, 32);
  auto md5 = etag.size() == 32 ? from_hex(etag) : std::nullopt;
  if (md5 && !checksums.is_encrypted) return {Expectation::Kind::md5, {}, *md5};
  return {};
}

// "bytes 0-99/200", "bytes 0-99/*"
std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  size_t dash = text.find('-'), slash = text.find('/');
  if (dash == text.npos || slash == text.npos || dash > slash) return std::nullopt;
  auto first = parse_unsigned(text.substr(0, dash));
  auto last = parse_unsigned(text.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return ContentRange{*first, *last, parse_unsigned(text.substr(slash + 1))};
}

Result<> take_field(std::string_view name, std::string_view value, Answer& answer,
                    Checksums& checksums) {
  auto is = [&](std::string_view wanted) { return equal_ignoring_case(name, wanted); };
  if (is("content-length")) {
    auto length = parse_unsigned(value);
    bool is_other = answer.content_length && length != answer.content_length;
    if (!length || is_other) return fail(Code::unavailable, "Content-Length is '{}'", value);
    answer.content_length = length;
  } else if (is("content-range")) {
    answer.content_range = parse_content_range(value);
    if (!answer.content_range) return fail(Code::unavailable, "Content-Range is '{}'", value);
  } else if (is("connection")) {
    answer.is_kept_alive = !equal_ignoring_case(value, "close");
  } else if (is("transfer-encoding")) {
    answer.is_chunked = !equal_ignoring_case(value, "identity");
  } else if (is("etag")) {
    answer.etag = value;
  } else if (is("location")) {
    answer.location = value;
  } else if (is("x-amz-server-side-encryption")) {
    checksums.is_encrypted |= value.starts_with("aws:kms");
  } else if (is("x-amz-server-side-encryption-customer-algorithm")) {
    checksums.is_encrypted = true;
  } else if (name.size() > 15 && equal_ignoring_case(name.substr(0, 15), "x-amz-checksum-")) {
    note_checksum(checksums, name, value);
  }
  return {};
}

bool is_token(std::string_view name) {
  return !name.empty() && name.find_first_of(" \t\r\n\0\"(),/:;<=>?@[\\]{}") == name.npos;
}

}  // namespace

std::string Expectation::name() const {
  return kind == Kind::md5 ? "MD5 of the ETag" : std::string(objects::api_name(algorithm));
}

std::unique_ptr<objects::Digest> Expectation::make_digest() const {
  if (kind == Kind::checksum) return objects::make_digest(algorithm);
  if (kind == Kind::md5) return objects::make_md5();
  return nullptr;
}

Result<Answer> parse_answer(std::string_view head) {
  auto garbage = [](std::string_view line) {
    return fail(Code::unavailable, "the server's answer is no HTTP: '{}'",
                to_valid_utf8(cut_middle(line, 80)));
  };
  size_t end = head.find("\r\n");
  std::string_view line = head.substr(0, end);
  // "HTTP/1.1 200 OK"
  bool is_http = line.starts_with("HTTP/1.") && line.size() >= 12 && line[8] == ' ' &&
                 (line.size() == 12 || line[12] == ' ');
  auto status = is_http ? parse_unsigned(line.substr(9, 3)) : std::nullopt;
  if (!status || *status < 100) return garbage(line);
  Answer answer;
  Checksums checksums;
  answer.status = static_cast<int>(*status);
  answer.is_kept_alive = line[7] != '0';
  for (head.remove_prefix(end + 2); !head.empty(); head.remove_prefix(end + 2)) {
    end = head.find("\r\n");
    line = head.substr(0, end);
    if (end == head.npos || line.empty()) break;
    size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) return garbage(line);
    TRY(take_field(line.substr(0, colon), trim(line.substr(colon + 1)), answer, checksums));
  }
  answer.expectation = expectation_of(checksums, answer.etag);
  return answer;
}

Error error_of(const Answer& answer, std::string_view body) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  std::string code = document.first_element_by_path("Error/Code").child_value();
  std::string message = document.first_element_by_path("Error/Message").child_value();
  int status = answer.status;
  if (status < 400) {
    return {Code::invalid,
            fmt::format("the server answers {} {} and sends us to '{}', which is not followed; "
                        "set the endpoint and region of the bucket",
                        status, code, to_valid_utf8(answer.location))};
  }
  // S3 says 400 RequestTimeout when a request came too slowly.
  bool is_passing = status >= 500 || status == 429 || status == 408 || code == "RequestTimeout" ||
                    code == "SlowDown";
  Code kind = status == 404                    ? Code::not_found
              : status == 401 || status == 403 ? Code::denied
              : status == 412                  ? Code::conflict
              : is_passing                     ? Code::unavailable
                                               : Code::invalid;
  if (status == 412) return {kind, "the object was replaced since it was listed (412)"};
  return {kind, to_valid_utf8(fmt::format("the server answers {}{}{}{}{}", status,
                                          code.empty() ? "" : " ", code,
                                          message.empty() ? "" : ": ", message))};
}

}  // namespace trainyard::transfer
