// SPDX-License-Identifier: Apache-2.0
#include "transfer/endpoint.hpp"

#include <sys/socket.h>

#include "base/text.hpp"

namespace trainyard::transfer {

Result<Endpoint> parse_endpoint(std::string_view url) {
  auto refuse = [&] {
    return fail(Code::invalid, "'{}' is no endpoint: http://HOST[:PORT] or https://HOST[:PORT]",
                url);
  };
  Endpoint endpoint;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    endpoint.is_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return refuse();
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  endpoint.host_header = rest;
  size_t colon = rest.rfind(':');
  bool is_bracketed = rest.starts_with('[');
  if (is_bracketed && rest.find(']') == rest.npos) return refuse();
  if (colon != rest.npos && is_bracketed && colon < rest.find(']')) colon = rest.npos;
  std::string_view port = colon == rest.npos ? "" : rest.substr(colon + 1);
  std::string_view host = rest.substr(0, colon);
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  bool has_port = colon != rest.npos;
  auto number = parse_unsigned(port);
  if (host.empty() || host.find_first_of("/?# @\r\n") != host.npos) return refuse();
  if (has_port && (!number || *number == 0 || *number > 65535)) return refuse();
  endpoint.host = host;
  endpoint.port = has_port ? port : endpoint.is_tls ? "443" : "80";
  return endpoint;
}

Result<Endpoint> endpoint_of(const S3Access& access, const std::string& bucket) {
  RequestTarget target = target_of(access, {bucket, ""});
  return parse_endpoint(target.scheme + "://" + target.host);
}

Result<Addresses> look_up(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
  if (error != 0) {
    return fail(Code::unavailable, "looking up {}: {}", endpoint.host, ::gai_strerror(error));
  }
  return Addresses(found, ::freeaddrinfo);
}

}  // namespace trainyard::transfer
