// SPDX-License-Identifier: Apache-2.0
#include "proxy/connect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.hpp"

namespace trainyard::proxy {

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
}

std::optional<std::string> parse_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']') && host.size() <= 48) {
    host = host.substr(1, host.size() - 2);
    bool is_address = std::all_of(host.begin(), host.end(), [](char c) {
      return is_alphanumeric(c) || c == ':' || c == '.';
    });
    return is_address ? std::optional<std::string>(host) : std::nullopt;
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > 253) return std::nullopt;
  for (std::string_view label : split(host, '.')) {
    if (!is_label(label)) return std::nullopt;
  }
  return to_lower(host);
}

tl::unexpected<Refusal> refuse(int status, std::string text) {
  return tl::unexpected(Refusal{status, std::move(text)});
}

}  // namespace

tl::expected<ConnectRequest, Refusal> parse_connect(std::string_view head) {
  size_t line_end = std::min(head.find("\r\n"), head.size());
  auto words = split(head.substr(0, line_end), ' ');
  if (words.size() != 3 || !words[2].starts_with("HTTP/1.")) {
    return refuse(400, "this is an HTTP proxy, and that was no request");
  }
  if (words[0] != "CONNECT") {
    return refuse(405, "this proxy takes CONNECT only: set HTTPS_PROXY to it, and not HTTP_PROXY");
  }
  ConnectRequest request;
  size_t colon = words[1].rfind(':');
  uint64_t port = 0;
  if (colon != std::string_view::npos) {
    port = parse_unsigned(words[1].substr(colon + 1)).value_or(0);
  }
  auto host = parse_host(words[1].substr(0, colon));
  if (!host || port == 0 || port > 65535) {
    return refuse(400, "CONNECT takes HOST:PORT");
  }
  request.host = *std::move(host);
  request.port = static_cast<uint16_t>(port);
  for (std::string_view line : split(head.substr(line_end), '\n')) {
    size_t name_end = std::min(line.find(':'), line.size());
    if (name_end == line.size()) continue;
    if (equal_ignoring_case(trim(line.substr(0, name_end)), "Proxy-Authorization")) {
      request.authorization = trim(line.substr(name_end + 1));
    }
  }
  return request;
}

bool is_amazon(std::string_view host) {
  return host == "amazonaws.com" || host.ends_with(".amazonaws.com");
}

}  // namespace trainyard::proxy
