// SPDX-License-Identifier: Apache-2.0
#include "network/forward.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace trainyard::network {

namespace {

constexpr uint64_t kListener = uint64_t{1} << 63;  // in the events' data
constexpr int kPipeBytes = 256 << 10;
constexpr int kTurns = 16;  // of a connection before others have theirs

enum class Moved { some, nothing, broken };

bool would_block() {
  return errno == EAGAIN || errno == EINTR;
}

// One way of a connection, through a pipe: splice needs one.
struct Way {
  int from = -1;
  int to = -1;
  Fd pipe_read;
  Fd pipe_write;
  size_t held = 0;         // bytes in the pipe
  bool is_ended = false;   // nothing more comes from `from`
  bool is_closed = false;  // and `to` has been told so

  Result<> open(int source, int target) {
    from = source;
    to = target;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(errno, "a pipe");
    pipe_read.reset(ends[0]);
    pipe_write.reset(ends[1]);
    // Refused where this user has many pipes already: it is slower then.
    ::fcntl(pipe_write.get(), F_SETPIPE_SZ, kPipeBytes);
    return {};
  }

  Moved move() {
    constexpr unsigned kFlags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE;
    Moved result = Moved::nothing;
    if (!is_ended) {
      ssize_t count = ::splice(from, nullptr, pipe_write.get(), nullptr, kPipeBytes, kFlags);
      if (count < 0 && !would_block()) return Moved::broken;
      if (count == 0) is_ended = true;
      if (count >= 0) result = Moved::some;
      if (count > 0) held += static_cast<size_t>(count);
    }
    if (held > 0) {
      ssize_t count = ::splice(pipe_read.get(), nullptr, to, nullptr, held, kFlags);
      if (count < 0 && !would_block()) return Moved::broken;
      if (count > 0) held -= static_cast<size_t>(count);
      if (count > 0) result = Moved::some;
    }
    if (is_ended && held == 0 && !is_closed) {
      ::shutdown(to, SHUT_WR);
      is_closed = true;
      result = Moved::some;
    }
    return result;
  }
};

void send_at_once(int socket) {
  int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// Closing then tells the other side that the connection broke.
void break_off(int socket) {
  linger abrupt{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
}

}  // namespace

struct Forwarder::Connection {
  Fd inside;
  Fd outside;
  Way out;
  Way in;
  bool is_connected = false;

  // False: it has not been decided yet.
  Moved check_connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(outside.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Moved::broken;
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    is_connected =
        ::getpeername(outside.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0;
    return is_connected ? Moved::some : Moved::nothing;
  }

  Moved move() {
    if (!is_connected) return check_connected();
    Moved first = out.move();
    Moved second = in.move();
    if (first == Moved::broken || second == Moved::broken) return Moved::broken;
    return first == Moved::some ? first : second;
  }
  bool is_done() const { return out.is_closed && in.is_closed; }
};

Forwarder::Forwarder(const Endpoint& target, size_t max_connections)
    : target_(target), max_connections_(max_connections), poll_(::epoll_create1(EPOLL_CLOEXEC)) {}

Forwarder::~Forwarder() = default;

Result<std::unique_ptr<Forwarder>> Forwarder::make(std::vector<Fd> listeners,
                                                   const Endpoint& target, size_t max_connections) {
  std::unique_ptr<Forwarder> made(new Forwarder(target, max_connections));
  if (!made->poll_) return fail_errno(errno, "making an epoll descriptor");
  made->listeners_ = std::move(listeners);
  TRY(made->watch_listeners(true));
  return made;
}

Result<> Forwarder::watch_listeners(bool is_wanted) {
  if (is_wanted == is_accepting_) return {};
  is_accepting_ = is_wanted;
  for (size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kListener | i;
    int what = is_wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
    if (::epoll_ctl(poll_.get(), what, listeners_[i].get(), &event) != 0) {
      return fail_errno(errno, "watching a socket");
    }
  }
  return {};
}

void Forwarder::accept_from(int listener) {
  while (connections_.size() < max_connections_) {
    Fd inside(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!inside) return;
    int socket = inside.get();
    send_at_once(socket);
    break_off(socket);  // until it is known to be carried on
    static_cast<void>(connect(std::move(inside)));
  }
  static_cast<void>(watch_listeners(false));
}

// What fails here breaks the connection off, as the target itself would.
Result<> Forwarder::connect(Fd inside) {
  auto made = std::make_unique<Connection>();
  made->inside = std::move(inside);
  made->outside.reset(::socket(target_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made->outside) return fail_errno(errno, "making a socket");
  send_at_once(made->outside.get());
  if (::connect(made->outside.get(), target_.get(), target_.size) != 0 && errno != EINPROGRESS) {
    return fail_errno(errno, "connecting to the service");
  }
  TRY(made->out.open(made->inside.get(), made->outside.get()));
  TRY(made->in.open(made->outside.get(), made->inside.get()));
  uint64_t id = ++last_id_;
  for (int socket : {made->inside.get(), made->outside.get()}) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = id;
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, socket, &event) != 0) {
      return fail_errno(errno, "watching a socket");
    }
  }
  connections_.emplace(id, std::move(made));
  return {};
}

void Forwarder::drive(uint64_t id) {
  auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  Moved moved = Moved::some;
  for (int turn = 0; turn < kTurns && moved == Moved::some; ++turn) moved = connection.move();
  if (connection.is_done()) {
    linger orderly{0, 0};
    ::setsockopt(connection.inside.get(), SOL_SOCKET, SO_LINGER, &orderly, sizeof orderly);
  }
  if (moved == Moved::broken) break_off(connection.outside.get());
  if (connection.is_done() || moved == Moved::broken) {
    connections_.erase(found);
    static_cast<void>(watch_listeners(true));
  } else if (moved == Moved::some) {
    unfinished_.push_back(id);
  }
}

bool Forwarder::run_once() {
  constexpr int kEvents = 64;
  for (uint64_t id : std::exchange(unfinished_, {})) drive(id);
  std::array<epoll_event, kEvents> events{};
  int count = ::epoll_wait(poll_.get(), events.data(), kEvents, 0);
  for (int i = 0; i < count; ++i) {
    uint64_t id = events[static_cast<size_t>(i)].data.u64;
    if ((id & kListener) != 0)
      accept_from(listeners_[id & ~kListener].get());
    else
      drive(id);
  }
  return !unfinished_.empty() || count == kEvents;
}

}  // namespace trainyard::network
