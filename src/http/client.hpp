// SPDX-License-Identifier: Apache-2.0
// An HTTP client of blocking calls over libcurl, with connections kept alive between calls.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "http/message.hpp"

namespace trainyard::http {

struct Call {
  std::string method = "GET";
  std::string url;         // absolute; path and query already percent-encoded, sent as they are
  Headers headers;         // Host and Content-Length are added
  std::string body;        // sent unless `source` is set
  Body* source = nullptr;  // streamed body of known length
  // Takes response bytes as they come, for any status; an error ends the call with that error. When
  // it is not set the bytes go to Answer::body.
  std::function<Result<>(int status, std::string_view bytes)> sink;
  // Told of the response's headers before the sink gets its first byte; not without one.
  std::function<void(int status, const Headers& headers)> on_headers;
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds stall_timeout{60'000};  // no byte in either direction for so long
  size_t max_body_bytes = 64 << 20;                 // of Answer::body
  std::string ca_file;                              // certificates to trust; empty: the system's
  std::string certificate_file;                     // our own, for servers that ask; PEM
  std::string key_file;                             // its key; PEM
  std::string unix_socket;  // connects there, whatever host `url` names; empty: TCP
};

struct Answer {
  int status = 0;
  Headers headers;
  std::string body;
};

// One connection pool. Not thread-safe: one Client per thread.
class Client {
 public:
  Client();
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // Any HTTP status is an Answer. `unavailable`: nobody listens, the connection broke; `timeout`;
  // `cancelled`: `stop` was requested. Proxies from the environment are ignored for loopback.
  Result<Answer> send(const Call& call, std::stop_token stop = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainyard::http
