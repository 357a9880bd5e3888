// SPDX-License-Identifier: Apache-2.0
// The files in a daemon's state folder, as daemon and agent know them.
#pragma once

#include <string>

#include "hydrate/hydrate.hpp"

namespace trainyard::hydrate {

inline fs::path plan_file(const fs::path& state) {
  return state / "plan.json";
}
inline fs::path guardian_file(const fs::path& state) {
  return state / "guardian";
}
inline fs::path hydrator_file(const fs::path& state) {
  return state / "hydrator";
}
inline fs::path ready_file(const fs::path& state) {
  return state / "ready";
}
inline fs::path failed_file(const fs::path& state) {
  return state / "failed";
}
inline fs::path error_file(const fs::path& state) {
  return state / "error";
}
// Tier 2's bytes; a folder.
inline fs::path cache_folder(const fs::path& state) {
  return state / "cache";
}

// Where tier 2 tries out what this kernel can, at its start; a folder, with a mount at "tree".
inline fs::path trial_folder(const fs::path& state) {
  return state / "trial";
}

// Keeps the first error that is recorded for the folder, by whichever process. Failing to write it
// is logged.
void record_error(const fs::path& state, const ReadError& error);

}  // namespace trainyard::hydrate
