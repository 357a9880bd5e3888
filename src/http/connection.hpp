// SPDX-License-Identifier: Apache-2.0
// One client's connection to the server: reads a request, writes its response. Internal to http/.
#pragma once

#include <chrono>
#include <optional>

#include "base/fd.hpp"
#include "http/message.hpp"

namespace trainyard::http {

// Used by one thread at a time.
class Connection {
 public:
  // The socket's timeouts must be set: they bound every read and write.
  Connection(Fd socket, size_t max_header_bytes)
      : socket_(std::move(socket)), max_header_bytes_(max_header_bytes) {}

  int fd() const { return socket_.get(); }
  bool has_buffered_bytes() const { return !buffer_.empty(); }

  // Reads one request, answers it with the handler's response (or with a 4xx where the request
  // cannot be understood). False when the connection is to be closed.
  bool serve(const Handler& handler);

  std::chrono::steady_clock::time_point parked_at;

 private:
  friend class RequestBody;

  struct Head {
    Request request;
    std::optional<uint64_t> body_length;  // nothing: it comes in chunks
    bool keep_alive = true;
    bool wants_continue = false;
  };
  // The status to refuse with, or 0 where the peer simply left.
  using HeadOrRefusal = tl::expected<Head, int>;

  HeadOrRefusal read_head();
  HeadOrRefusal parse_head(size_t end);
  Result<size_t> receive(std::span<char> bytes);
  Result<std::string> receive_line();
  bool send(const Response& response, bool is_head, bool keep_alive);
  bool send_all(std::string_view bytes, int flags);
  bool send_file(const FileRange& range);
  void linger();

  Fd socket_;
  size_t max_header_bytes_;
  std::string buffer_;  // received and not yet consumed
};

}  // namespace trainyard::http
