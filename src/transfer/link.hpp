// SPDX-License-Identifier: Apache-2.0
// A connection to a server, plain or TLS, that never waits. Internal to transfer/.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/fd.hpp"
#include "transfer/endpoint.hpp"

namespace trainyard::transfer {

using TlsContext = std::shared_ptr<SSL_CTX>;

// For clients that want the server's certificate signed by one of the file's (PEM), or of the
// system's roots where no file is given.
Result<TlsContext> make_tls_context(const std::string& ca_file);

// What one try has done. Nothing moved and not ended: try again once `waits_for` has happened.
struct Moved {
  size_t count = 0;
  bool is_ended = false;
  uint32_t waits_for = 0;  // EPOLLIN or EPOLLOUT
};

class Link {
 public:
  // Begins to connect. A null context: plain.
  static Result<Link> open(const addrinfo& address, const Endpoint& endpoint,
                           const TlsContext& context);

  int fd() const { return socket_.get(); }
  bool is_plain() const { return !session_; }

  // Goes on with connecting and the handshake: 0 when they are done, or what to wait for.
  Result<uint32_t> establish();

  Result<Moved> read(std::span<char> bytes);
  Result<Moved> write(std::string_view bytes);

  // As the kernel has measured it.
  std::chrono::microseconds round_trip_time() const;

 private:
  using Session = std::unique_ptr<SSL, void (*)(SSL*)>;

  explicit Link(Fd socket) : socket_(std::move(socket)) {}
  Result<Moved> tls_moved(int result, size_t count, std::string_view doing);

  Fd socket_;
  Session session_{nullptr, SSL_free};
  bool is_connected_ = false;
  bool is_established_ = false;
};

}  // namespace trainyard::transfer
