// SPDX-License-Identifier: Apache-2.0
#include "network/endpoint.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/text.hpp"

namespace trainyard::network {

namespace {

template <class Address>
Address address_of(const Endpoint& endpoint) {
  Address address{};
  std::memcpy(&address, &endpoint.address, sizeof address);
  return address;
}

void name_the_loopback(Endpoint& endpoint) {
  if (endpoint.family() == AF_INET) {
    auto address = address_of<sockaddr_in>(endpoint);
    if (address.sin_addr.s_addr == htonl(INADDR_ANY)) {
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    std::memcpy(&endpoint.address, &address, sizeof address);
  } else if (endpoint.family() == AF_INET6) {
    auto address = address_of<sockaddr_in6>(endpoint);
    if (IN6_IS_ADDR_UNSPECIFIED(&address.sin6_addr)) address.sin6_addr = in6addr_loopback;
    std::memcpy(&endpoint.address, &address, sizeof address);
  }
}

}  // namespace

bool Endpoint::is_loopback() const {
  if (family() == AF_INET) {
    return ntohl(address_of<sockaddr_in>(*this).sin_addr.s_addr) >> 24 == 127;
  }
  auto in6 = address_of<sockaddr_in6>(*this);
  return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

Result<Endpoint> parse_endpoint(const std::string& url) {
  std::string text = url;
  size_t scheme = text.find("://");
  if (scheme != std::string::npos) text.erase(0, scheme + 3);
  text.resize(std::min(text.size(), text.find('/')));
  size_t colon = text.rfind(':');
  auto port = colon == std::string::npos ? std::nullopt : parse_unsigned(text.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535) {
    return fail(Code::invalid, "'{}' names no port", url);
  }
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), std::to_string(*port).c_str(), &hints, &found);
  if (error != 0) {
    return fail(Code::invalid, "looking up '{}': {}", host, ::gai_strerror(error));
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  Endpoint endpoint;
  std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
  endpoint.size = found->ai_addrlen;
  name_the_loopback(endpoint);
  return endpoint;
}

Result<Fd> listen_at(const Endpoint& endpoint) {
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "making a socket");
  if (::bind(fd.get(), endpoint.get(), endpoint.size) != 0) {
    return fail_errno(errno, "binding the service's address");
  }
  if (::listen(fd.get(), SOMAXCONN) != 0) return fail_errno(errno, "listening");
  return fd;
}

}  // namespace trainyard::network
