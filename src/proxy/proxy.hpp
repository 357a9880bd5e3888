// SPDX-License-Identifier: Apache-2.0
// A CONNECT proxy on loopback. *.amazonaws.com:443 is the service: TLS ends here, and what is
// inside goes to the service byte for byte, so that signatures hold. All else is passed through.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "proxy/authority.hpp"

namespace trainyard::proxy {

// "http://user:secret@host:8080", taken apart.
struct Address {
  bool is_tls = false;
  std::string host;
  uint16_t port = 0;
  std::string user_info;  // "user:secret", decoded
};

// `invalid` where it is no http or https URL.
Result<Address> parse_address(std::string_view url);

struct ProxyOptions {
  Address service;                // where amazonaws.com is
  std::string token;              // clients say it as the password of user "trainyard"
  std::optional<Address> parent;  // the proxy that leads to all other hosts
  size_t max_connections = 256;   // further ones are closed at once
  std::chrono::milliseconds head_limit{10'000};  // for a request, and for a TLS handshake
  std::chrono::milliseconds dial_limit{30'000};
  std::chrono::milliseconds idle_limit{3'600'000};  // of a connection that moves nothing
};

class Proxy {
 public:
  // Listens on a port of 127.0.0.1 that the kernel picks, until it is destroyed. The authority must
  // outlive it. SIGPIPE is ignored from here on.
  static Result<std::unique_ptr<Proxy>> start(ProxyOptions options, Authority& authority);

  // Ends all connections.
  virtual ~Proxy() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace trainyard::proxy
