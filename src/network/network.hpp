// SPDX-License-Identifier: Apache-2.0
// A network of its own for each attempt of a job: namespaces that one process, the holder
// (`trainyard network FOLDER`), keeps. The instances hang on a bridge in a namespace that nothing
// else is connected to, so that other jobs and the host's loopback are not filtered out but absent:
//
//   algo-1  lo, eth0 198.18.1.1 ──┐
//   algo-2  lo, eth0 198.18.1.2 ──┼─ bridge ── tap ── slirp4netns: the outside, as our user
//                                 │            (without EnableNetworkIsolation)
//   127.0.0.1:4600 in each of them is carried to the service's 127.0.0.1:4600 by the holder.
//
// Nothing is changed in the host's namespace. The folder is the truth: others find the network
// there after a restart. It ends with the holder, and the holder ends by stop() or by being killed.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/process_tree.hpp"
#include "base/result.hpp"

namespace trainyard::network {

// What is to be made.
struct Plan {
  std::vector<std::string> hosts;  // algo-1 first, at most kMaxHosts
  std::string endpoint;            // "http://127.0.0.1:4600", the same inside; empty: none
  bool has_outside = true;         // else the instances meet each other alone
};

inline constexpr size_t kMaxHosts = 250;

struct Instance {
  std::string host;
  std::string address;  // of its eth0, IPv4
  int descriptor = -1;  // of the holder: its network namespace
};

// What was made. Descriptors are the holder's: /proc/<holder>/fd/<descriptor>.
struct Network {
  ProcessId holder;
  int user_descriptor = -1;  // the user namespace that owns the others; -1: the host's, we are root
  std::vector<Instance> instances;
  bool has_outside = false;
  std::string no_outside;   // why there is none though it was asked for, and what helps
  std::string name_server;  // for resolv.conf; empty: none

  const Instance* find(std::string_view host) const;
};

// Starts a holder that makes it, and returns without waiting for that. Files in the folder are
// replaced. Requires: no holder lives there.
Result<> start(const fs::path& program, const Plan& plan, const fs::path& folder);

// The holder of this folder, while it lives.
std::optional<ProcessId> find_holder(const fs::path& folder);

// Its holder has ended, and nobody has removed what is known of it.
bool is_lost(const fs::path& folder);

// Waits until it is made. `unavailable` with the reason when its holder could not, or has ended.
Result<Network> await(const fs::path& folder, const std::stop_token& stop = {});

// Ends the holder and waits for that; none is fine. Processes inside keep what they have of it.
void stop(const fs::path& folder);

// main() of the holder.
Result<> hold(const fs::path& folder);

// Whether networks can be made here: makes one. The error says what is missing.
Result<> probe();

}  // namespace trainyard::network
