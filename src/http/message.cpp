// SPDX-License-Identifier: Apache-2.0
#include "http/message.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "base/text.hpp"

namespace trainyard::http {

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (equal_ignoring_case(field, name)) return value;
  }
  return std::nullopt;
}

std::string_view Headers::get(std::string_view name) const {
  return find(name).value_or("");
}

void Headers::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(name, value);
}

void Headers::set(std::string_view name, std::string_view value) {
  std::erase_if(fields_,
                [&](const Field& field) { return equal_ignoring_case(field.first, name); });
  add(name, value);
}

Result<size_t> TextBody::read(std::span<char> buffer) {
  size_t count = std::min(buffer.size(), text_.size() - position_);
  std::copy_n(text_.data() + position_, count, buffer.data());
  position_ += count;
  return count;
}

Result<size_t> FileBody::read(std::span<char> buffer) {
  size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), range_.length - done_));
  size_t count = TRY(read_at(range_.file->get(), buffer.first(wanted), range_.offset + done_));
  if (count < wanted) return fail(Code::invalid, "the file became shorter while it was sent");
  done_ += count;
  return count;
}

Result<std::string> read_all(Body& body, size_t limit_bytes) {
  std::string text;
  if (body.length().value_or(0) > limit_bytes) {
    return fail(Code::exhausted, "the body is larger than {} bytes", limit_bytes);
  }
  std::vector<char> chunk(64 << 10);
  for (;;) {
    size_t count = TRY(body.read(chunk));
    if (count == 0) return text;
    text.append(chunk.data(), count);
    if (text.size() > limit_bytes) {
      return fail(Code::exhausted, "the body is larger than {} bytes", limit_bytes);
    }
  }
}

std::optional<std::vector<QueryParameter>> Request::query_parameters() const {
  std::vector<QueryParameter> parameters;
  if (query.empty()) return parameters;
  for (std::string_view piece : split(query, '&')) {
    if (piece.empty()) continue;
    size_t equals = std::min(piece.find('='), piece.size());
    std::string_view value = equals < piece.size() ? piece.substr(equals + 1) : std::string_view();
    auto decoded_name = percent_decode(replace_all(std::string(piece.substr(0, equals)), "+", " "));
    auto decoded_value = percent_decode(replace_all(std::string(value), "+", " "));
    if (!decoded_name || !decoded_value) return std::nullopt;
    parameters.emplace_back(std::move(*decoded_name), std::move(*decoded_value));
  }
  return parameters;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace trainyard::http
