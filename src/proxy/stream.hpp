// SPDX-License-Identifier: Apache-2.0
// A socket, or TLS over one, used without waiting. Internal to proxy/.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "proxy/wait.hpp"

namespace trainyard::proxy {

// What one try has done. Nothing moved and not ended: try again once `waits_for` has happened.
struct Step {
  size_t moved = 0;
  bool is_ended = false;
  short waits_for = 0;  // of poll(2)
};

class Stream {
 public:
  explicit Stream(Fd socket) : socket_(std::move(socket)) {}

  // TLS over the socket, as the server with that context's certificate, or as a client that wants
  // a certificate for `host` from the system's roots.
  static Result<Stream> accept_tls(Fd socket, const std::shared_ptr<SSL_CTX>& context,
                                   const Waiter& waiter, Deadline deadline);
  static Result<Stream> connect_tls(Fd socket, const std::string& host, const Waiter& waiter,
                                    Deadline deadline);

  int fd() const { return socket_.get(); }

  Result<Step> read(std::span<char> bytes);
  Result<Step> write(std::string_view bytes);
  // The peer reads its end after what was written so far; reading goes on.
  void finish_writing();

 private:
  using Session = std::unique_ptr<SSL, void (*)(SSL*)>;

  Result<Step> tls_step(int result, size_t moved, std::string_view doing);
  Result<> shake_hands(const Waiter& waiter, Deadline deadline);

  Fd socket_;
  Session session_{nullptr, SSL_free};  // null: plain
};

}  // namespace trainyard::proxy
