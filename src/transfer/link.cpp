// SPDX-License-Identifier: Apache-2.0
#include "transfer/link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace trainyard::transfer {

namespace {

std::string openssl_text() {
  std::array<char, 256> text{};
  unsigned long code = ERR_get_error();
  ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  return code == 0 ? "the peer left" : text.data();
}

Failure refused(int error_number, std::string_view doing) {
  // Whatever breaks a connection may go away.
  return Failure(Error{Code::unavailable, fail_errno(error_number, doing).value().message});
}

}  // namespace

Result<TlsContext> make_tls_context(const std::string& ca_file) {
  TlsContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return fail(Code::exhausted, "no memory for TLS");
  if (ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) {
    return fail(Code::invalid, "{} holds no certificates", ca_file);
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Several records with one recv; without, each costs two.
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), 256 << 10);
  return context;
}

Result<Link> Link::open(const addrinfo& address, const Endpoint& endpoint,
                        const TlsContext& context) {
  Link link(Fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!link.socket_) return fail_errno(errno, "opening a socket");
  int on = 1;
  ::setsockopt(link.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(link.fd(), address.ai_addr, address.ai_addrlen) == 0) {
    link.is_connected_ = true;
  } else if (errno != EINPROGRESS) {
    return refused(errno, "connecting to " + endpoint.host_header);
  }
  if (!context) return link;
  link.session_.reset(SSL_new(context.get()));
  SSL* session = link.session_.get();
  bool is_ready = session != nullptr && SSL_set_fd(session, link.fd()) == 1;
  const std::string& host = endpoint.host;
  if (is_ready && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) != 1) {
    ERR_clear_error();
    is_ready = SSL_set1_host(session, host.c_str()) == 1;
    SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
  }
  if (!is_ready) return fail(Code::exhausted, "no memory for TLS");
  SSL_set_connect_state(session);
  return link;
}

Result<uint32_t> Link::establish() {
  if (!is_connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return refused(error, "connecting");
    sockaddr_storage peer{};
    size = sizeof peer;
    if (::getpeername(fd(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) return EPOLLOUT;
    is_connected_ = true;
  }
  if (!session_ || is_established_) return 0u;
  ERR_clear_error();
  Moved moved = TRY(tls_moved(SSL_do_handshake(session_.get()), 1, "TLS handshake"));
  if (moved.is_ended) return fail(Code::unavailable, "TLS handshake: the peer left");
  is_established_ = moved.count > 0;
  return moved.waits_for;
}

Result<Moved> Link::tls_moved(int result, size_t count, std::string_view doing) {
  if (result == 1) return Moved{count, false, 0};
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Moved{0, false, EPOLLIN};
    case SSL_ERROR_WANT_WRITE:
      return Moved{0, false, EPOLLOUT};
    case SSL_ERROR_ZERO_RETURN:
      return Moved{0, true, 0};
    default:
      break;
  }
  long verified = SSL_get_verify_result(session_.get());
  if (!is_established_ && verified != X509_V_OK) {
    ERR_clear_error();
    return fail(Code::denied, "{}: the server's certificate: {}", doing,
                X509_verify_cert_error_string(verified));
  }
  return fail(Code::unavailable, "{}: {}", doing, openssl_text());
}

Result<Moved> Link::read(std::span<char> bytes) {
  if (!session_) {
    ssize_t count = ::recv(fd(), bytes.data(), bytes.size(), 0);
    if (count > 0) return Moved{static_cast<size_t>(count), false, 0};
    if (count == 0) return Moved{0, true, 0};
    if (errno == EAGAIN || errno == EINTR) return Moved{0, false, EPOLLIN};
    return refused(errno, "receiving");
  }
  size_t total = 0;
  while (total < bytes.size()) {  // a record is at most 16 KiB
    size_t count = 0;
    ERR_clear_error();
    int result = SSL_read_ex(session_.get(), bytes.data() + total, bytes.size() - total, &count);
    auto moved = tls_moved(result, count, "receiving");
    if (total > 0 && (!moved || moved->count == 0)) break;  // told again by the next call
    if (!moved || moved->count == 0) return moved;
    total += count;
  }
  return Moved{total, false, 0};
}

Result<Moved> Link::write(std::string_view bytes) {
  if (session_) {
    size_t count = 0;
    ERR_clear_error();
    int result = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &count);
    return tls_moved(result, count, "sending");
  }
  ssize_t count = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return Moved{static_cast<size_t>(count), false, 0};
  if (errno == EAGAIN || errno == EINTR) return Moved{0, false, EPOLLOUT};
  return refused(errno, "sending");
}

std::chrono::microseconds Link::round_trip_time() const {
  tcp_info state{};
  socklen_t size = sizeof state;
  if (::getsockopt(fd(), IPPROTO_TCP, TCP_INFO, &state, &size) != 0) return {};
  return std::chrono::microseconds(state.tcpi_rtt);
}

}  // namespace trainyard::transfer
