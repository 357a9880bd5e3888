// SPDX-License-Identifier: Apache-2.0
// `trainyard forward FILE`: lets the containers of one job reach the service, which listens on this
// host's loopback. A process of its own, so that the death of an agent breaks no connection of the
// script. It listens on the host's address in the job's network, lets in who comes from there, and
// carries bytes to one address and no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::docker {

struct ForwardPlan {
  std::string address;   // of this host in the job's network, IPv4
  std::string subnet;    // of the job's network, "172.18.0.0/16"
  std::string endpoint;  // of the service, "http://127.0.0.1:4600"
};

// Starts it unless it runs, with its files in `folder`, and waits until it listens. Returns what
// containers are to use instead of the endpoint. The port stays the same when it is started again.
// `unavailable`: the address is not this host's.
Result<std::string> ensure_forwarder(const fs::path& program, const fs::path& folder,
                                     const ForwardPlan& plan);

// Ends it; none is fine.
void end_forwarder(const fs::path& folder);

// main() of the process.
Result<> forward(const fs::path& file);

// Whether an IPv4 address, in host order, is in "172.18.0.0/16"; false for what is no subnet.
bool is_in_subnet(uint32_t address, std::string_view subnet);

}  // namespace trainyard::docker
