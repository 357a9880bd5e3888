// SPDX-License-Identifier: Apache-2.0
// The few words of rtnetlink(7) that a job's network needs: links, addresses, routes, rules. Each
// call returns when the kernel has done it.
#pragma once

#include <net/if.h>
#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::network {

// Where packets to the addresses go.
struct Route {
  in_addr to{};                 // 0.0.0.0/0: everything
  unsigned char to_bits = 0;    // of the prefix
  in_addr via{};                // 0.0.0.0 with `is_unreachable`
  bool is_unreachable = false;  // refused at once
};

// Decides before routes do; the one with the smaller priority first.
struct Rule {
  uint32_t priority = 0;
  in_addr to{};
  uint16_t port = 0;            // 0: any
  bool is_unreachable = false;  // else: as the main table says
};

// Belongs to the network namespace in which it was opened, wherever its thread goes afterwards.
class Netlink {
 public:
  static Result<Netlink> open();

  Result<> add_bridge(const std::string& name, uint32_t mtu);
  // A cable: `name` here, as a port of the bridge, and `peer_name` in another namespace.
  Result<> add_cable(const std::string& name, int bridge_index, const std::string& peer_name,
                     int peer_namespace, uint32_t mtu);
  Result<> make_port(const std::string& name, int bridge_index, uint32_t mtu);
  Result<> set_up(const std::string& name);
  Result<> add_address(int link_index, in_addr address, unsigned char prefix_bits);
  Result<> add_route(const Route& route);
  Result<> add_rule(const Rule& rule);

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  Result<> ask(std::string message, const std::string& doing);

  Fd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace trainyard::network
