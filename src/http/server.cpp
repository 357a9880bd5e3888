// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>
#include <unordered_map>

#include "base/guarded.hpp"
#include "http/connection.hpp"

namespace trainyard::http {

namespace {

using std::chrono::steady_clock;

struct Listener {
  Fd socket;
  uint16_t port = 0;
};

Result<Listener> listen_on(const ServerOptions& options) {
  sockaddr_storage address{};
  socklen_t size = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (inet_pton(AF_INET, options.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(options.port);
    size = sizeof *v4;
  } else if (inet_pton(AF_INET6, options.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(options.port);
    size = sizeof *v6;
  } else {
    return fail(Code::invalid, "'{}' is no numeric address", options.host);
  }
  Fd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "opening a socket");
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.get(), generic, size) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
    return fail_errno(errno, fmt::format("listening on {}:{}", options.host, options.port));
  }
  ::getsockname(socket.get(), generic, &size);
  bool is_v4 = address.ss_family == AF_INET;
  return Listener{std::move(socket), ntohs(is_v4 ? v4->sin_port : v6->sin6_port)};
}

void set_timeouts(int socket, std::chrono::seconds timeout) {
  timeval limit{};
  limit.tv_sec = timeout.count();
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Workers wait for requests in one epoll set, where the kernel wakes one of them for each, the one
// that was busy last; a thread of its own accepts.
// Invariants: (1) a connection is parked or held by one worker; (2) a parked one is in the epoll
// set, armed for one event; (3) `open` counts both; (4) while fewer than the most workers run, one
// at least waits.
class EpollServer : public Server {
 public:
  EpollServer(ServerOptions options, Handler handler, Listener listener, Fd epoll, Fd wake)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        listener_(std::move(listener)),
        epoll_(std::move(epoll)),
        wake_(std::move(wake)) {
    watch(wake_.get(), EPOLLIN, EPOLL_CTL_ADD);  // never read: it wakes everybody
    state_.with([&](State& state) { add_worker(state); });
    acceptor_ = std::jthread([this](std::stop_token stop) { accept_until(stop); });
  }

  ~EpollServer() override {
    acceptor_.request_stop();
    state_.with([](State& state) { state.is_stopping = true; });
    eventfd_write(wake_.get(), 1);
    acceptor_.join();
    std::vector<std::jthread> workers;
    state_.with([&](State& state) {
      for (int fd : state.held) ::shutdown(fd, SHUT_RD);
      workers = std::move(state.workers);
    });
    workers.clear();  // joins
  }

  uint16_t port() const override { return listener_.port; }

 private:
  struct State {
    std::unordered_map<int, std::unique_ptr<Connection>> parked;
    std::vector<int> held;
    std::vector<std::jthread> workers;
    size_t open = 0;
    bool is_stopping = false;
  };

  void watch(int fd, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  void add_worker(State& state) {
    state.workers.emplace_back([this] { work(); });
  }

  void accept_until(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::array<pollfd, 2> watched{pollfd{listener_.socket.get(), POLLIN, 0},
                                    pollfd{wake_.get(), POLLIN, 0}};
      ::poll(watched.data(), watched.size(), 10'000);
      if (watched[0].revents != 0) accept_all();
      close_idle();
    }
  }

  void accept_all() {
    for (;;) {
      Fd socket(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket && (errno == EMFILE || errno == ENFILE)) {
        if (refuse_one()) continue;
        return;
      }
      if (!socket) return;
      set_timeouts(socket.get(), options_.io_timeout);
      int fd = socket.get();
      auto connection = std::make_unique<Connection>(std::move(socket), options_.max_header_bytes);
      connection->parked_at = steady_clock::now();
      state_.with([&](State& state) {
        if (state.open >= options_.max_connections) return;
        ++state.open;
        state.parked.emplace(fd, std::move(connection));
        watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, EPOLL_CTL_ADD);
      });
    }
  }

  // Out of descriptors, the listener would stay readable for ever: the spare one takes the
  // connection and closes it. False when there was none: accept(2) looks for a descriptor first.
  bool refuse_one() {
    spare_.reset();
    Fd refused(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    bool is_refused = static_cast<bool>(refused);
    refused.reset();
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return is_refused;
  }

  void close_idle() {
    auto limit = steady_clock::now() - options_.idle_timeout;
    state_.with([&](State& state) {
      state.open -= std::erase_if(
          state.parked, [&](const auto& entry) { return entry.second->parked_at < limit; });
    });
  }

  void work() {
    for (;;) {
      epoll_event event{};
      int count = ::epoll_wait(epoll_.get(), &event, 1, -1);
      if (count == 1 && event.data.fd == wake_.get()) return;
      auto connection = count == 1 ? take(event.data.fd) : nullptr;
      if (!connection) continue;
      bool is_alive = connection->serve(handler_);
      while (is_alive && connection->has_buffered_bytes()) is_alive = connection->serve(handler_);
      put_back(std::move(connection), is_alive);
    }
  }

  // Null where it was closed meanwhile, or the server stops.
  std::unique_ptr<Connection> take(int fd) {
    return state_.with([&](State& state) -> std::unique_ptr<Connection> {
      auto found = state.parked.extract(fd);
      if (found.empty() || state.is_stopping) return nullptr;
      state.held.push_back(fd);
      bool is_last = state.held.size() == state.workers.size();
      if (is_last && state.workers.size() < options_.max_workers) add_worker(state);
      return std::move(found.mapped());
    });
  }

  void put_back(std::unique_ptr<Connection> connection, bool is_alive) {
    int fd = connection->fd();
    connection->parked_at = steady_clock::now();
    state_.with([&](State& state) {
      std::erase(state.held, fd);
      if (!is_alive || state.is_stopping) {
        --state.open;
        connection.reset();
        return;
      }
      state.parked.emplace(fd, std::move(connection));
      watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, EPOLL_CTL_MOD);
    });
  }

  ServerOptions options_;
  Handler handler_;
  Listener listener_;
  Fd epoll_;
  Fd wake_;
  Fd spare_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  Guarded<State> state_;
  std::jthread acceptor_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler) {
  // A client that leaves while it is written to must be an error of that write, not a signal.
  std::signal(SIGPIPE, SIG_IGN);
  Listener listener = TRY(listen_on(options));
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return fail_errno(errno, "starting the HTTP server");
  return std::unique_ptr<Server>(new EpollServer(std::move(options), std::move(handler),
                                                 std::move(listener), std::move(epoll),
                                                 std::move(wake)));
}

}  // namespace trainyard::http
