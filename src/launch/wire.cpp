// SPDX-License-Identifier: Apache-2.0
#include "launch/wire.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::launch {

namespace {

constexpr size_t kLongestLine = 64 << 10;
constexpr std::string_view kGreeting = "trainyard-mpi ";

void set_option(int connection, int level, int name, int value) {
  ::setsockopt(connection, level, name, &value, sizeof value);
}

// A machine that was lost says nothing: the kernel asks it now and then.
void watch_over(int connection) {
  set_option(connection, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(connection, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set_option(connection, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_option(connection, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

// 0: as long as it takes.
void set_patience(int connection, int seconds) {
  timeval limit{seconds, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Result<Fd> connect_to(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return fail(Code::unavailable, "{}: {}", host, ::gai_strerror(error));
  int reason = ECONNREFUSED;
  for (addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Fd connection(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    constexpr int kPatience = 5;
    set_patience(connection.get(), kPatience);
    if (::connect(connection.get(), one->ai_addr, one->ai_addrlen) == 0) {
      ::freeaddrinfo(found);
      return connection;
    }
    reason = errno;
  }
  ::freeaddrinfo(found);
  return fail(Code::unavailable, "{}:{}: {}", host, port, ::strerror(reason));
}

Result<Request> check_request(Fd connection, const std::string& secret) {
  constexpr int kPatience = 10;
  constexpr size_t kSignature = 64;
  set_patience(connection.get(), kPatience);
  std::string nonce = random_hex(16);
  TRY(write_all(connection.get(), std::string(kGreeting) + nonce + "\n"));
  auto line = read_line(connection.get());
  if (!line || line->size() <= kSignature) return fail(Code::denied, "no request came");
  std::string text = line->substr(kSignature);
  std::string right = signature(secret, nonce + text);
  if (CRYPTO_memcmp(right.data(), line->data(), kSignature) != 0) {
    return fail(Code::denied, "a request without the job's secret");
  }
  Request request;
  request.document = TRY(json::parse_object(text));
  set_patience(connection.get(), 0);
  watch_over(connection.get());
  request.connection = std::move(connection);
  return request;
}

}  // namespace

std::string signature(const std::string& secret, const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  ::HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

std::optional<std::string> read_line(int connection) {
  std::string line;
  char next = 0;
  while (line.size() < kLongestLine) {
    ssize_t count = ::recv(connection, &next, 1, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    if (next == '\n') return line;
    line += next;
  }
  return std::nullopt;
}

Result<Fd> ask(const std::string& host, uint16_t port, const std::string& secret,
               const json::object& request) {
  Fd connection = TRY(connect_to(host, port));
  auto greeting = read_line(connection.get());
  if (!greeting) return fail(Code::unavailable, "{}:{} closed the connection", host, port);
  if (!greeting->starts_with(kGreeting)) {
    return fail(Code::denied, "{}:{} is something else", host, port);
  }
  std::string text = json::serialize(request);
  std::string nonce = greeting->substr(kGreeting.size());
  TRY(write_all(connection.get(), signature(secret, nonce + text) + text + "\n"));
  auto answer = read_line(connection.get());
  if (answer != "ok") return fail(Code::denied, "{}:{} refused the request", host, port);
  set_patience(connection.get(), 0);
  watch_over(connection.get());
  return connection;
}

Result<Fd> listen_on(uint16_t port) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener) return fail_errno(errno, "making a socket");
  set_option(listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0) {
    return fail(Code::unavailable, "port {} cannot be listened on: {}", port, ::strerror(errno));
  }
  return listener;
}

uint16_t port_of(int listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

Result<Request> accept_request(int listener, const std::string& secret) {
  Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) return fail_errno(errno, "accepting a connection");
  auto request = TRY(check_request(std::move(connection), secret));
  TRY(write_all(request.connection.get(), "ok\n"));
  return request;
}

bool is_listening(const std::string& host, uint16_t port) {
  return connect_to(host, port).has_value();
}

}  // namespace trainyard::launch
