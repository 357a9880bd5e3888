// SPDX-License-Identifier: Apache-2.0
// What an instance is in its distribution. Each runs to the end and returns the exit status.
#pragma once

#include "launch/arrangement.hpp"

namespace trainyard::launch {

// The script, and the server beside it. Where the script went well and this is not the leader, it
// waits until the leader's port refuses connections, as the server may be needed until then.
Result<int> run_with_server(const Arrangement& arrangement);

// How mpirun calls back: the program, and the arrangement's file.
struct Callback {
  std::string program;
  std::string file;
};

// Meets all workers, runs mpirun with the ranks' lines tagged, and tells the workers of the end.
// The loss of a worker ends it.
Result<int> lead(const Arrangement& arrangement, const Callback& callback);

// Runs what the leader asks for, until it says that all is over.
Result<int> work(const Arrangement& arrangement, const Callback& callback);

}  // namespace trainyard::launch
