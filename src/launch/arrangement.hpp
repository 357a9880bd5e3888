// SPDX-License-Identifier: Apache-2.0
// What `trainyard launch FILE` is to run on one instance, and the file that says so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace trainyard::launch {

enum class Kind {
  parameter_server,  // a server beside the script
  mpi_leader,        // mpirun
  mpi_worker,        // the daemons that mpirun starts here
};

struct Arrangement {
  Kind kind = Kind::parameter_server;
  std::vector<std::string> command;  // the script, or mpirun with its options; a worker has none
  std::vector<std::string> ranks;    // of mpi_leader: what mpirun runs, behind its options
  std::string python;                // of MPI: this instance's own; each has its own path
  std::vector<std::string> server;   // of parameter_server: what runs beside the script
  std::string host;                  // "algo-1": this instance
  std::vector<std::string> hosts;    // of the distribution, the leader first
  int processes_per_host = 1;        // of MPI: which host a rank is on
  uint16_t port = 0;                 // of parameter_server: the leader's script listens here; of
                                     // MPI: the workers listen for the leader
  std::string secret;                // of MPI: what leader and workers know, and nobody else

  const std::string& leader() const { return hosts.front(); }
};

json::object to_json(const Arrangement& arrangement);
Result<Arrangement> parse_arrangement(const json::object& document);

// main() of `trainyard launch FILE`. Returns the status of the script, 128 + signal where one ended
// it.
int launch(const fs::path& file, const fs::path& program);

// main() of `trainyard mpi-shell FILE HOST COMMAND…`, which mpirun calls in the place of ssh.
int mpi_shell(const std::vector<std::string>& arguments);

}  // namespace trainyard::launch
