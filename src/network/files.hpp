// SPDX-License-Identifier: Apache-2.0
// The files in a network's folder.
#pragma once

#include "network/network.hpp"

namespace trainyard::network {

inline fs::path holder_file(const fs::path& folder) {
  return folder / "holder.json";
}
inline fs::path network_file(const fs::path& folder) {
  return folder / "network.json";
}
inline fs::path log_file(const fs::path& folder) {
  return folder / "log";
}

// Replaced at once for all readers, but not flushed: after a loss of power the processes that these
// files are about have gone, too. A flush would cost each job's start some milliseconds.
Result<> write_holder(const fs::path& folder, const ProcessId& holder);
Result<> write_plan(const fs::path& folder, const Plan& plan);
Result<Plan> read_plan(const fs::path& folder);

Result<> write_network(const fs::path& folder, const Network& network);
Result<> write_error(const fs::path& folder, const Error& error);

// nullopt: not made yet. `unavailable`: it could not be, with the reason.
Result<std::optional<Network>> read_network(const fs::path& folder);

}  // namespace trainyard::network
