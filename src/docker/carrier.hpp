// SPDX-License-Identifier: Apache-2.0
// Carries TCP connections from a listener to one address, all of them in the calling thread.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <list>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::docker {

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

class Carrier {
 public:
  // `may_enter` is asked for each connection, with the peer's IPv4 address in host order.
  Carrier(Fd listener, const Target& target, std::function<bool(uint32_t)> may_enter);
  ~Carrier();

  // Waits for what happens next and does it, until `stop_fd` is readable; -1: for ever.
  void run(int stop_fd = -1);

 private:
  struct Connection;
  void accept_one();

  Fd listener_;
  Target target_;
  std::function<bool(uint32_t)> may_enter_;
  std::list<Connection> connections_;
};

}  // namespace trainyard::docker
