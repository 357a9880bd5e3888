// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace trainyard::proxy {

namespace {

std::string openssl_text() {
  std::array<char, 256> text{};
  unsigned long code = ERR_get_error();
  ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  return code == 0 ? "the peer left" : text.data();
}

}  // namespace

Result<Step> Stream::tls_step(int result, size_t moved, std::string_view doing) {
  if (result == 1) return Step{moved, false, 0};
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Step{0, false, POLLIN};
    case SSL_ERROR_WANT_WRITE:
      return Step{0, false, POLLOUT};
    case SSL_ERROR_ZERO_RETURN:
      return Step{0, true, 0};
    default:
      return fail(Code::unavailable, "{}: {}", doing, openssl_text());
  }
}

Result<> Stream::shake_hands(const Waiter& waiter, Deadline deadline) {
  for (;;) {
    ERR_clear_error();
    Step step = TRY(tls_step(SSL_do_handshake(session_.get()), 1, "TLS handshake"));
    if (step.moved > 0) return {};
    if (step.is_ended) return fail(Code::unavailable, "TLS handshake: the peer left");
    TRY(waiter.wait({{fd(), step.waits_for}}, deadline));
  }
}

Result<Stream> Stream::accept_tls(Fd socket, const std::shared_ptr<SSL_CTX>& context,
                                  const Waiter& waiter, Deadline deadline) {
  Stream stream(std::move(socket));
  stream.session_.reset(SSL_new(context.get()));
  if (!stream.session_ || SSL_set_fd(stream.session_.get(), stream.fd()) != 1) {
    return fail(Code::exhausted, "no memory for TLS");
  }
  SSL_set_accept_state(stream.session_.get());
  TRY(stream.shake_hands(waiter, deadline));
  return stream;
}

Result<Stream> Stream::connect_tls(Fd socket, const std::string& host, const Waiter& waiter,
                                   Deadline deadline) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return fail(Code::exhausted, "no memory for TLS");
  SSL_CTX_set_default_verify_paths(context.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  Stream stream(std::move(socket));
  stream.session_.reset(SSL_new(context.get()));
  SSL* session = stream.session_.get();
  if (session == nullptr || SSL_set_fd(session, stream.fd()) != 1 ||
      SSL_set1_host(session, host.c_str()) != 1) {
    return fail(Code::exhausted, "no memory for TLS");
  }
  SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(host.c_str()));
  SSL_set_connect_state(session);
  TRY(stream.shake_hands(waiter, deadline));
  return stream;
}

Result<Step> Stream::read(std::span<char> bytes) {
  if (session_) {
    size_t count = 0;
    ERR_clear_error();
    int result = SSL_read_ex(session_.get(), bytes.data(), bytes.size(), &count);
    return tls_step(result, count, "receiving");
  }
  ssize_t count = ::recv(fd(), bytes.data(), bytes.size(), 0);
  if (count > 0) return Step{static_cast<size_t>(count), false, 0};
  if (count == 0) return Step{0, true, 0};
  if (errno == EAGAIN || errno == EINTR) return Step{0, false, POLLIN};
  return fail_errno(errno, "receiving");
}

Result<Step> Stream::write(std::string_view bytes) {
  if (session_) {
    size_t count = 0;
    ERR_clear_error();
    int result = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &count);
    return tls_step(result, count, "sending");
  }
  ssize_t count = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return Step{static_cast<size_t>(count), false, 0};
  if (errno == EAGAIN || errno == EINTR) return Step{0, false, POLLOUT};
  return fail_errno(errno, "sending");
}

void Stream::finish_writing() {
  ERR_clear_error();
  if (session_) SSL_shutdown(session_.get());  // close_notify; a full buffer loses it, and no more
  ::shutdown(fd(), SHUT_WR);
}

}  // namespace trainyard::proxy
