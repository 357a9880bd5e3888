// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server of blocking handlers. Connections between requests are parked in epoll, where
// worker threads wait; one of them parses a request, calls the handler, sends the response and
// parks the connection again. Idle clients cost a descriptor, no thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "http/message.hpp"

namespace trainyard::http {

struct ServerOptions {
  std::string host = "127.0.0.1";  // a numeric address
  uint16_t port = 0;               // 0: the kernel picks one
  // Requests in progress at once; more wait. Slow uploads hold one each.
  size_t max_workers = 512;
  size_t max_connections = 4096;  // further ones are closed at once
  size_t max_header_bytes = 64 << 10;
  std::chrono::seconds io_timeout{60};     // a peer that neither sends nor takes a byte for so long
  std::chrono::seconds idle_timeout{120};  // between requests
};

class Server {
 public:
  // Listens and serves until it is destroyed. The handler runs on many threads at once. It may
  // leave the request's body unread: the connection is then closed after the response, unless
  // little is left. An exception from a handler is logged and answered with 500.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler);

  // Stops accepting, lets running handlers finish, closes all connections.
  virtual ~Server() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace trainyard::http
