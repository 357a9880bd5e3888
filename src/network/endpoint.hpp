// SPDX-License-Identifier: Apache-2.0
// Where the service listens, as an address of sockets.
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::network {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  int family() const { return address.ss_family; }
  bool is_loopback() const;
};

// Of "http://127.0.0.1:4600/…" or "localhost:4600"; a name is looked up. The address that means all
// of a machine's becomes the loopback one, which is how clients reach it.
Result<Endpoint> parse_endpoint(const std::string& url);

// A socket that listens there, in the network namespace of this thread.
Result<Fd> listen_at(const Endpoint& endpoint);

}  // namespace trainyard::network
