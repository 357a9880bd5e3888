// SPDX-License-Identifier: Apache-2.0
// A folder of immutable files, shown as one that a job may write into: what it writes goes into a
// folder beside, by the kernel's overlayfs. Even root behind the walls cannot reach the originals.
// https://docs.kernel.org/filesystems/overlayfs.html
#pragma once

#include <cstdint>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::sandbox {

struct Overlay {
  fs::path lower;      // the originals; never written to
  fs::path upper;      // what was written; on a file system that overlayfs can use
  fs::path work;       // empty, the kernel's own, on the same file system as `upper`
  fs::path shown;      // an empty folder, where the two are seen as one
  uint32_t owner = 0;  // where we are root, root's files of `lower` are seen as this user's
};

// Gives this process mounts of its own, which end with it and its children, and mounts the
// overlays there. Without root it also gets a user namespace, in which its user stays who it is.
// Requires: one thread.
Result<> enter_overlays(const std::vector<Overlay>& overlays);

// Whether it works with folders below `folder`: tries it in a child process.
Result<> probe_overlay(const fs::path& folder, uint32_t owner);

}  // namespace trainyard::sandbox
