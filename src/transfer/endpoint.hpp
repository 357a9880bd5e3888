// SPDX-License-Identifier: Apache-2.0
// Where an S3 endpoint listens and what its objects are called there.
#pragma once

#include <netdb.h>

#include <memory>
#include <string>

#include "transfer/s3_access.hpp"

namespace trainyard::transfer {

struct Endpoint {
  bool is_tls = false;
  std::string host;         // a name or an address, without brackets
  std::string port;         // digits
  std::string host_header;  // as the URL has it
};

// The server that answers for this bucket.
Result<Endpoint> endpoint_of(const S3Access& access, const std::string& bucket);

// Of "http://host[:port]" and "https://host[:port]"; anything else is `invalid`.
Result<Endpoint> parse_endpoint(std::string_view url);

using Addresses = std::shared_ptr<addrinfo>;  // never null, a list

// Blocks for as long as the resolver is configured to. `unavailable` names the host.
Result<Addresses> look_up(const Endpoint& endpoint);

}  // namespace trainyard::transfer
