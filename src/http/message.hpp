// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 messages as plain values (RFC 9110, 9112), shared by server and client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::http {

// Header fields in the order they came; names compare without case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  // The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  // The same, "" when there is none.
  std::string_view get(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  // Replaces all fields of that name.
  void set(std::string_view name, std::string_view value);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

// A request or response body that is read as it arrives.
class Body {
 public:
  virtual ~Body() = default;

  // Fills at most `buffer` and returns the count; 0 is the end. `invalid` when the peer ended
  // before the length it had announced, `unavailable` when the connection broke, `timeout` when it
  // stalled.
  virtual Result<size_t> read(std::span<char> buffer) = 0;

  // Bytes of the whole body, where known beforehand.
  virtual std::optional<uint64_t> length() const = 0;

  // Fields that came after the body; known once read() returned 0.
  virtual Headers trailers() const { return {}; }
};

// A body held in memory, and one without bytes.
class TextBody : public Body {
 public:
  explicit TextBody(std::string text = {}) : text_(std::move(text)) {}
  Result<size_t> read(std::span<char> buffer) override;
  std::optional<uint64_t> length() const override { return text_.size(); }

 private:
  std::string text_;
  size_t position_ = 0;
};

// Reads to the end. More than `limit_bytes` is `exhausted`.
Result<std::string> read_all(Body& body, size_t limit_bytes);

// One name=value of a query string, both percent-decoded.
using QueryParameter = std::pair<std::string, std::string>;

struct Request {
  std::string method;
  std::string path;   // as sent, still percent-encoded, never empty
  std::string query;  // as sent, without '?'
  Headers headers;
  Body* body = nullptr;  // never null inside a handler; owned by the server

  // The query, decoded and in order of appearance; '+' is a blank. nullopt when it is malformed.
  std::optional<std::vector<QueryParameter>> query_parameters() const;
};

// Bytes of an open file, sent with sendfile(2).
struct FileRange {
  std::shared_ptr<Fd> file;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// Those bytes as a body.
class FileBody : public Body {
 public:
  explicit FileBody(FileRange range) : range_(std::move(range)) {}
  // A file that has become shorter meanwhile is `invalid`.
  Result<size_t> read(std::span<char> buffer) override;
  std::optional<uint64_t> length() const override { return range_.length; }

 private:
  FileRange range_;
  uint64_t done_ = 0;
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length is the server's business, except in answers to HEAD
  std::variant<std::string, FileRange> body;
};

using Handler = std::function<Response(Request&)>;

// "Not Found" for 404 and so on.
std::string_view reason_phrase(int status);

}  // namespace trainyard::http
