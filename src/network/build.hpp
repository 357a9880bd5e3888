// SPDX-License-Identifier: Apache-2.0
// Makes the namespaces of a job's network and all that is in them.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "network/endpoint.hpp"

namespace trainyard::network {

// The same range in every job: they never meet. 198.18.0.0/15 is set aside for benchmarks of
// network devices (RFC 2544): neither the Internet nor a site's own plan uses it, so that it hides
// nothing that a script wants to reach, as 10.0.0.0/8 or 172.16.0.0/12 may.
inline constexpr const char* kRange = "198.18.0.0/16";
inline constexpr unsigned char kRangeBits = 16;
inline constexpr const char* kGateway = "198.18.0.2";     // slirp4netns: the range's second
inline constexpr const char* kNameServer = "198.18.0.3";  // and third address
inline constexpr const char* kTap = "outside";            // in the job's namespace

// Of the instance with this place among the hosts, from 0 on.
std::string address_of(size_t place);

struct Design {
  size_t instances = 0;
  std::optional<Endpoint> service;  // to be listened for inside, where it is not met outside
  bool has_outside = false;
};

// Namespaces live as long as their descriptors, or as a process inside.
struct Built {
  Fd user;                    // owns the others; empty: we are root
  Fd job;                     // the bridge
  std::vector<Fd> instances;  // in order
  std::vector<Fd> listeners;  // for the service, of each instance; empty: it is met outside
  std::string no_tap;         // why there is none though it was asked for
};

// In a child process: this one stays where it is.
Result<Built> build(const Design& design);

}  // namespace trainyard::network
