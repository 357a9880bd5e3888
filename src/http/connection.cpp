// SPDX-License-Identifier: Apache-2.0
#include "http/connection.hpp"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace trainyard::http {

namespace beast = boost::beast::http;

// The body of the request in progress, of announced length or in chunks (RFC 9112, 7.1). The first
// read sends "100 Continue" if the client waits for it, so a handler that refuses early spares the
// client the upload.
class RequestBody : public Body {
 public:
  // Without a length the body comes in chunks.
  RequestBody(Connection& connection, std::optional<uint64_t> length, bool wants_continue)
      : connection_(connection),
        length_(length),
        remaining_(length.value_or(0)),
        is_at_end_(length.has_value()),
        wants_continue_(wants_continue) {}

  Result<size_t> read(std::span<char> bytes) override {
    auto count = read_some(bytes);
    is_broken_ = is_broken_ || !count;
    return count;
  }

  std::optional<uint64_t> length() const override { return length_; }

  // Reads what the handler left, if it is little: true when the next request can follow.
  bool drain() {
    constexpr uint64_t kLittle = 64 << 10;
    if (is_broken_) return false;
    if (remaining_ == 0 && is_at_end_) return true;
    if (wants_continue_ || remaining_ > kLittle) return false;
    std::array<char, 4096> waste;
    for (uint64_t drained = 0; drained <= kLittle;) {
      auto count = read(waste);
      if (!count) return false;
      if (*count == 0) return true;
      drained += *count;
    }
    return false;
  }

 private:
  Result<size_t> read_some(std::span<char> bytes) {
    if ((remaining_ == 0 && is_at_end_) || bytes.empty()) return 0;
    if (std::exchange(wants_continue_, false)) {
      TRY(write_all(connection_.fd(), "HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (remaining_ == 0) TRY(begin_chunk());
    if (remaining_ == 0) return 0;
    size_t wanted = static_cast<size_t>(std::min<uint64_t>(bytes.size(), remaining_));
    size_t count = TRY(connection_.receive(bytes.first(wanted)));
    if (count == 0) {
      return fail(Code::invalid, "the client closed the connection {} bytes before the end{}",
                  remaining_, length_ ? "" : " of a chunk");
    }
    remaining_ -= count;
    if (remaining_ == 0 && !length_) TRY(end_chunk());
    return count;
  }

  // "1a;extension" CRLF. The last chunk is empty; trailer fields follow it, and are dropped.
  Result<> begin_chunk() {
    std::string line = TRY(connection_.receive_line());
    auto size = parse_hexadecimal(std::string_view(line).substr(0, line.find(';')));
    if (!size) return fail(Code::invalid, "a chunk begins with '{}'", line.substr(0, 40));
    remaining_ = *size;
    if (remaining_ > 0) return {};
    for (size_t fields = 0; fields < 100; ++fields) {
      line = TRY(connection_.receive_line());
      if (line.empty()) {
        is_at_end_ = true;
        return {};
      }
    }
    return fail(Code::invalid, "too many trailer fields");
  }

  Result<> end_chunk() {
    std::string line = TRY(connection_.receive_line());
    if (line.empty()) return {};
    return fail(Code::invalid, "a chunk is longer than it said");
  }

  Connection& connection_;
  std::optional<uint64_t> length_;
  uint64_t remaining_;  // of the body, or of the chunk
  bool is_at_end_;      // nothing comes after `remaining_`
  bool is_broken_ = false;
  bool wants_continue_;
};

namespace {

// Of files up to this size the bytes are copied behind the head: one system call less.
constexpr uint64_t kCopiedBytes = 32 << 10;

Response refusal(int status) {
  return Response{status,
                  {{"Content-Type", "text/plain"}},
                  fmt::format("{} {}\n", status, reason_phrase(status))};
}

Response call(const Handler& handler, Request& request) {
  try {
    return handler(request);
  } catch (const std::exception& exception) {
    log::error("handler threw", {{"path", request.path}, {"what", exception.what()}});
    return refusal(500);
  }
}

uint64_t body_length(const Response& response) {
  if (const auto* range = std::get_if<FileRange>(&response.body)) return range->length;
  return std::get<std::string>(response.body).size();
}

std::string serialize_head(const Response& response, bool is_head, bool keep_alive) {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.headers) head += fmt::format("{}: {}\r\n", name, value);
  bool has_no_body = response.status == 204 || response.status == 304;
  bool is_length_given = is_head && response.headers.find("Content-Length");
  if (!has_no_body && !is_length_given) {
    head += fmt::format("Content-Length: {}\r\n", body_length(response));
  }
  if (!keep_alive) head += "Connection: close\r\n";
  return head + "\r\n";
}

}  // namespace

Result<size_t> Connection::receive(std::span<char> bytes) {
  if (!buffer_.empty()) {
    size_t count = std::min(bytes.size(), buffer_.size());
    std::copy_n(buffer_.data(), count, bytes.data());
    buffer_.erase(0, count);
    return count;
  }
  for (;;) {
    ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return fail_errno(errno, "receiving");
  }
}

// The rest of the line, without CRLF; a line of a chunked body is short.
Result<std::string> Connection::receive_line() {
  constexpr size_t kMaxLine = 8 << 10;
  for (;;) {
    size_t end = buffer_.find("\r\n");
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      return line;
    }
    if (buffer_.size() > kMaxLine) return fail(Code::invalid, "a line of a chunk is too long");
    std::array<char, 16384> chunk;
    ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "receiving");
    if (count == 0) return fail(Code::invalid, "the client closed the connection within a chunk");
    buffer_.append(chunk.data(), static_cast<size_t>(count));
  }
}

Connection::HeadOrRefusal Connection::read_head() {
  size_t searched = 0;
  for (;;) {
    size_t end = buffer_.find("\r\n\r\n", searched);
    if (end != std::string::npos) return parse_head(end + 4);
    if (buffer_.size() > max_header_bytes_) return tl::unexpected(431);
    searched = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
    std::array<char, 16384> chunk;
    ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return tl::unexpected(0);
    buffer_.append(chunk.data(), static_cast<size_t>(count));
  }
}

Connection::HeadOrRefusal Connection::parse_head(size_t end) {
  beast::request_parser<beast::empty_body> parser;
  parser.header_limit(static_cast<uint32_t>(max_header_bytes_));
  parser.body_limit(boost::none);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(buffer_.data(), end), error);
  if (error && error != beast::error::need_more) {
    return tl::unexpected(error == beast::error::header_limit ? 431 : 400);
  }
  if (!parser.is_header_done()) return tl::unexpected(400);
  const auto& message = parser.get();
  Head head;
  std::string_view target(message.target().data(), message.target().size());
  if (!target.starts_with('/')) return tl::unexpected(400);
  size_t question = std::min(target.find('?'), target.size());
  head.request.method = std::string(message.method_string());
  head.request.path = std::string(target.substr(0, question));
  head.request.query = std::string(target.substr(std::min(question + 1, target.size())));
  for (const auto& field : message) {
    auto name = field.name_string();
    auto value = field.value();
    head.request.headers.add({name.data(), name.size()}, {value.data(), value.size()});
  }
  // Both at once is how requests are smuggled (RFC 9112, 6.3).
  if (parser.chunked() && head.request.headers.find("Content-Length")) return tl::unexpected(400);
  if (!parser.chunked()) head.body_length = parser.content_length().value_or(0);
  head.keep_alive = message.keep_alive();
  head.wants_continue = equal_ignoring_case(head.request.headers.get("Expect"), "100-continue");
  buffer_.erase(0, end);
  return head;
}

bool Connection::serve(const Handler& handler) {
  auto head = read_head();
  if (!head) {
    if (head.error() != 0 && send(refusal(head.error()), false, false)) linger();
    return false;
  }
  RequestBody body(*this, head->body_length, head->wants_continue);
  head->request.body = &body;
  Response response = call(handler, head->request);
  bool is_drained = body.drain();
  bool keep_alive = is_drained && head->keep_alive;
  if (!send(response, head->request.method == "HEAD", keep_alive)) return false;
  if (!is_drained) linger();
  return keep_alive;
}

// A close with bytes unread makes the kernel send a reset, which can overtake the response on its
// way (RFC 9112, 9.6). So what the client still sends is read and dropped for a moment.
void Connection::linger() {
  using std::chrono::steady_clock;
  constexpr std::chrono::seconds kMoment{2};
  ::shutdown(socket_.get(), SHUT_WR);
  auto deadline = steady_clock::now() + kMoment;
  std::vector<char> waste(64 << 10);
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    pollfd watched{socket_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) return;
    if (::recv(socket_.get(), waste.data(), waste.size(), 0) <= 0) return;
  }
}

bool Connection::send(const Response& response, bool is_head, bool keep_alive) {
  std::string bytes = serialize_head(response, is_head, keep_alive);
  if (is_head) return static_cast<bool>(write_all(socket_.get(), bytes));
  if (const auto* text = std::get_if<std::string>(&response.body)) {
    bytes += *text;
    return static_cast<bool>(write_all(socket_.get(), bytes));
  }
  const auto& range = std::get<FileRange>(response.body);
  if (range.length > kCopiedBytes) {
    // The head leaves with the file's first bytes.
    return send_all(bytes, MSG_MORE) && send_file(range);
  }
  size_t head = bytes.size();
  bytes.resize(head + range.length);
  auto count = read_at(range.file->get(), std::span(bytes).subspan(head), range.offset);
  return count && *count == range.length && static_cast<bool>(write_all(socket_.get(), bytes));
}

bool Connection::send_all(std::string_view bytes, int flags) {
  while (!bytes.empty()) {
    ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), flags);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool Connection::send_file(const FileRange& range) {
  auto offset = static_cast<off_t>(range.offset);
  uint64_t remaining = range.length;
  while (remaining > 0) {
    size_t piece = static_cast<size_t>(std::min<uint64_t>(remaining, 1 << 30));
    ssize_t count = ::sendfile(socket_.get(), range.file->get(), &offset, piece);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    remaining -= static_cast<uint64_t>(count);
  }
  return true;
}

}  // namespace trainyard::http
