// SPDX-License-Identifier: Apache-2.0
// Where an S3 endpoint listens and what its objects are called there.
#pragma once

#include <netdb.h>

#include <memory>
#include <string>

#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

struct Endpoint {
  bool is_tls = false;
  std::string host;         // a name or an address, without brackets
  std::string port;         // digits
  std::string host_header;  // as the URL has it
};

// Of "http://host[:port]" and "https://host[:port]"; anything else is `invalid`.
Result<Endpoint> parse_endpoint(std::string_view url);

// The object's path at the endpoint, percent-encoded. Path style: the bucket comes first.
std::string object_path(const S3Uri& object);

using Addresses = std::shared_ptr<addrinfo>;  // never null, a list

// Blocks for as long as the resolver is configured to. `unavailable` names the host.
Result<Addresses> look_up(const Endpoint& endpoint);

}  // namespace trainyard::transfer
