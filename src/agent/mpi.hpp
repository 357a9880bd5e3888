// SPDX-License-Identifier: Apache-2.0
// mpirun as SageMaker's toolkit calls it (contract.md H). Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/cluster.hpp"

namespace trainyard::agent {

struct MpiOptions {
  int processes_per_host = 1;
  std::string processes = "1";      // of all hosts
  std::string nccl_debug = "INFO";  // --NCCL_DEBUG among the custom options
  std::vector<std::string> custom;  // the others, as mpirun takes them
};

// Of sagemaker_mpi_num_of_processes_per_host, sagemaker_mpi_num_processes and
// sagemaker_mpi_custom_mpi_options.
MpiOptions mpi_options(const PythonDict& parameters, size_t host_count);

// Up to where the command of the ranks follows. `exported`: names of variables that all ranks see
// as the leader has them.
std::vector<std::string> mpirun_command(const MpiOptions& options,
                                        const std::vector<std::string>& hosts,
                                        const std::vector<std::string>& exported);

// The script's command as a rank runs it: a Python one under mpi4py, so that one that fails ends
// the others.
std::vector<std::string> rank_command(std::vector<std::string> script_command,
                                      const std::string& python);

}  // namespace trainyard::agent
