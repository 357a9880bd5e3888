// SPDX-License-Identifier: Apache-2.0
#include "docker/carrier.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <vector>

namespace trainyard::docker {

namespace {

constexpr size_t kBuffer = 64 << 10;
constexpr size_t kMaxConnections = 512;  // further ones wait in the kernel's queue

bool must_wait() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

// One direction. `filled_` bytes from `sent_` on wait to be written.
class Flow {
 public:
  // False when either side is broken.
  bool move(int from, int to) {
    if (sent_ == filled_ && !is_ended_) {
      ssize_t count = ::recv(from, buffer_.data(), buffer_.size(), 0);
      if (count < 0) return must_wait();
      is_ended_ = count == 0;
      filled_ = static_cast<size_t>(count);
      sent_ = 0;
    }
    if (sent_ < filled_) {
      ssize_t count = ::send(to, buffer_.data() + sent_, filled_ - sent_, MSG_NOSIGNAL);
      if (count < 0) return must_wait();
      sent_ += static_cast<size_t>(count);
    }
    if (is_ended_ && sent_ == filled_ && !is_finished_) {
      ::shutdown(to, SHUT_WR);
      is_finished_ = true;
    }
    return true;
  }

  bool waits_to_read() const { return sent_ == filled_ && !is_ended_; }
  bool waits_to_write() const { return sent_ < filled_; }
  bool is_finished() const { return is_finished_; }

 private:
  std::vector<char> buffer_ = std::vector<char>(kBuffer);
  size_t filled_ = 0;
  size_t sent_ = 0;
  bool is_ended_ = false;     // nothing more comes
  bool is_finished_ = false;  // and the other side knows
};

short events_of(const Flow& from_it, const Flow& to_it) {
  int events = (from_it.waits_to_read() ? POLLIN : 0) | (to_it.waits_to_write() ? POLLOUT : 0);
  return static_cast<short>(events);
}

}  // namespace

struct Carrier::Connection {
  Fd inside;
  Fd outside;
  bool is_connected = false;
  Flow there = {};
  Flow back = {};

  std::array<pollfd, 2> waits() const {
    if (!is_connected) return {{{-1, 0, 0}, {outside.get(), POLLOUT, 0}}};
    short in = events_of(there, back);
    short out = events_of(back, there);
    // poll(2) tells of broken connections even where nothing is asked: then again and again.
    return {{{in != 0 ? inside.get() : -1, in, 0}, {out != 0 ? outside.get() : -1, out, 0}}};
  }

  // False when it is over.
  bool move(bool is_woken) {
    if (!is_woken) return true;
    if (!is_connected) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(outside.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return false;
      is_connected = true;
    }
    bool is_well =
        there.move(inside.get(), outside.get()) && back.move(outside.get(), inside.get());
    return is_well && !(there.is_finished() && back.is_finished());
  }
};

Carrier::Carrier(Fd listener, const Target& target, std::function<bool(uint32_t)> may_enter)
    : listener_(std::move(listener)), target_(target), may_enter_(std::move(may_enter)) {}

Carrier::~Carrier() = default;

void Carrier::accept_one() {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  auto* generic = reinterpret_cast<sockaddr*>(&peer);
  Fd inside(::accept4(listener_.get(), generic, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!inside) {
    if (!must_wait()) ::poll(nullptr, 0, 10);  // out of descriptors, say
    return;
  }
  if (!may_enter_(ntohl(peer.sin_addr.s_addr))) return;
  Fd outside(::socket(target_.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  auto* target = reinterpret_cast<const sockaddr*>(&target_.address);
  if (!outside) return;
  if (::connect(outside.get(), target, target_.size) != 0 && errno != EINPROGRESS) return;
  int one = 1;
  ::setsockopt(inside.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(outside.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connections_.push_back({std::move(inside), std::move(outside)});
}

void Carrier::run(int stop_fd) {
  for (;;) {
    bool has_room = connections_.size() < kMaxConnections;
    std::vector<pollfd> watched = {{stop_fd, POLLIN, 0},
                                   {has_room ? listener_.get() : -1, POLLIN, 0}};
    for (const Connection& connection : connections_) {
      for (const pollfd& wait : connection.waits()) watched.push_back(wait);
    }
    ::poll(watched.data(), watched.size(), -1);
    if (watched[0].revents != 0) return;
    size_t at = 2;
    for (auto next = connections_.begin(); next != connections_.end(); at += 2) {
      bool is_woken = watched[at].revents != 0 || watched[at + 1].revents != 0;
      next = next->move(is_woken) ? std::next(next) : connections_.erase(next);
    }
    if (watched[1].revents != 0) accept_one();
  }
}

}  // namespace trainyard::docker
