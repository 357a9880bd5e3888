// SPDX-License-Identifier: Apache-2.0
// Namespaces that another process keeps open, and that a job's processes are to run in.
#pragma once

#include "base/process_tree.hpp"
#include "base/result.hpp"

namespace trainyard::sandbox {

// Named by the other process's descriptors: /proc/<keeper>/fd/<number>.
struct Namespaces {
  ProcessId keeper;
  int user = -1;     // owns the other one; -1: this process's own, where we are root
  int network = -1;  // -1: none are to be entered
};

// This process is there from now on, and so are its children. `unavailable`: the keeper has ended.
// Requires: one thread.
Result<> enter_namespaces(const Namespaces& namespaces);

}  // namespace trainyard::sandbox
