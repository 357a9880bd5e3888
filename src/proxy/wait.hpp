// SPDX-License-Identifier: Apache-2.0
// Waiting for sockets, with a deadline, until the proxy ends. Internal to proxy/.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::proxy {

using Deadline = std::chrono::steady_clock::time_point;

struct Watched {
  int fd;
  short events;  // of poll(2)
};

class Waiter {
 public:
  // Waits end with `cancelled` as soon as `stop_fd` is readable.
  explicit Waiter(int stop_fd) : stop_fd_(stop_fd) {}

  // Until one of them is ready, or broken. `timeout`, `cancelled`.
  Result<> wait(const std::vector<Watched>& watched, Deadline deadline) const;

 private:
  int stop_fd_;
};

// A connection to a host name or an address, non-blocking. `unavailable` and `timeout` name it.
Result<Fd> dial(const std::string& host, uint16_t port, const Waiter& waiter, Deadline deadline);

// Reads from a non-blocking socket up to and with the empty line that ends a head, and nothing
// behind it. `exhausted` beyond `limit_bytes`, `unavailable` where the peer leaves.
Result<std::string> read_head(int socket, size_t limit_bytes, const Waiter& waiter,
                              Deadline deadline);

}  // namespace trainyard::proxy
