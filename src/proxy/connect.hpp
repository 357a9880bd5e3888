// SPDX-License-Identifier: Apache-2.0
// What a client asks of a proxy: CONNECT host:port (RFC 9110, 9.3.6). Internal to proxy/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace trainyard::proxy {

struct ConnectRequest {
  std::string host;  // lower case, without brackets and without a dot at the end
  uint16_t port = 0;
  std::string authorization;  // of Proxy-Authorization, "" where there is none
};

struct Refusal {
  int status = 400;
  std::string text;  // for people
};

// `head` is a request up to and with its empty line.
tl::expected<ConnectRequest, Refusal> parse_connect(std::string_view head);

// amazonaws.com itself or a name below it; not amazonaws.com.cn, which is another domain.
bool is_amazon(std::string_view host);

}  // namespace trainyard::proxy
