// SPDX-License-Identifier: Apache-2.0
// Carries connections that come in at sockets of one network namespace to an address that this
// process reaches: bytes go from kernel buffer to kernel buffer (splice(2)), an end of one
// direction goes on as such, a broken connection as a broken one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "network/endpoint.hpp"

namespace trainyard::network {

class Forwarder {
 public:
  // `max_connections` at once; further ones wait in the listeners' queues.
  static Result<std::unique_ptr<Forwarder>> make(std::vector<Fd> listeners, const Endpoint& target,
                                                 size_t max_connections);
  ~Forwarder();

  // Readable when run_once() has something to do.
  int descriptor() const { return poll_.get(); }
  // Does what can be done without waiting; true: there is more at once.
  bool run_once();

  size_t connections() const { return connections_.size(); }

 private:
  struct Connection;
  explicit Forwarder(const Endpoint& target, size_t max_connections);
  Result<> watch_listeners(bool is_wanted);
  void accept_from(int listener);
  Result<> connect(Fd inside);
  void drive(uint64_t id);

  Endpoint target_;
  size_t max_connections_;
  Fd poll_;
  std::vector<Fd> listeners_;
  bool is_accepting_ = false;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<uint64_t> unfinished_;  // had their share of a turn, and could have gone on
};

}  // namespace trainyard::network
