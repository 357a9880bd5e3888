// SPDX-License-Identifier: Apache-2.0
#include "proxy/wait.hpp"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace trainyard::proxy {

namespace {

using std::chrono::steady_clock;

int milliseconds_left(Deadline deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

Result<Fd> connect_to(const addrinfo& address, const Waiter& waiter, Deadline deadline) {
  Fd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "opening a socket");
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return fail_errno(errno, "connecting");
    TRY(waiter.wait({{socket.get(), POLLOUT}}, deadline));
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail_errno(error, "connecting");
  }
  int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

}  // namespace

Result<> Waiter::wait(const std::vector<Watched>& watched, Deadline deadline) const {
  std::vector<pollfd> polled{{stop_fd_, POLLIN, 0}};
  for (const Watched& one : watched) polled.push_back({one.fd, one.events, 0});
  for (;;) {
    int ready = ::poll(polled.data(), polled.size(), milliseconds_left(deadline));
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "waiting");
    if (polled[0].revents != 0) return fail(Code::cancelled, "the proxy ends");
    if (ready > 0) return {};
    if (steady_clock::now() >= deadline) return fail(Code::timeout, "nothing came in time");
  }
}

Result<Fd> dial(const std::string& host, uint16_t port, const Waiter& waiter, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  // Blocks for as long as the resolver is configured to.
  int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  if (error != 0) {
    addresses.release();
    return fail(Code::unavailable, "looking up {}: {}", host, ::gai_strerror(error));
  }
  Result<Fd> last = fail(Code::unavailable, "no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    last = connect_to(*address, waiter, deadline);
    if (last || last.error().code == Code::cancelled) break;
  }
  if (last) return last;
  return Failure(std::move(last).error().within(fmt::format("{}:{}", host, port)));
}

// Looks before it takes: what follows the head belongs to whoever reads next.
Result<std::string> read_head(int socket, size_t limit_bytes, const Waiter& waiter,
                              Deadline deadline) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  std::string head;
  std::array<char, 4096> chunk;
  for (;;) {
    TRY(waiter.wait({{socket, POLLIN}}, deadline));
    ssize_t seen = ::recv(socket, chunk.data(), chunk.size(), MSG_PEEK);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (seen < 0) return fail_errno(errno, "receiving");
    if (seen == 0) return fail(Code::unavailable, "the peer left");
    size_t before = head.size();
    head.append(chunk.data(), static_cast<size_t>(seen));
    size_t end = head.find(kEnd, before < kEnd.size() ? 0 : before - kEnd.size());
    if (end != std::string::npos) head.resize(end + kEnd.size());
    // The same bytes again, in one piece: they are there.
    ssize_t taken = ::recv(socket, chunk.data(), head.size() - before, 0);
    if (taken != static_cast<ssize_t>(head.size() - before)) {
      return fail(Code::unavailable, "receiving what was there a moment ago");
    }
    if (end != std::string::npos) return head;
    if (head.size() > limit_bytes) return fail(Code::exhausted, "the head is too large");
  }
}

}  // namespace trainyard::proxy
