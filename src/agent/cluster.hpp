// SPDX-License-Identifier: Apache-2.0
// Which hosts train together, as a script is told: instance groups, the hosts of a distribution,
// TF_CONFIG (contract.md G.3, H). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/python_value.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::agent {

struct Cluster {
  std::vector<protocol::InstanceGroup> groups;  // at least one
  std::string current_group;
  std::vector<std::string> current_group_hosts;
  PythonValue distribution_groups;  // what the hyperparameter says, else the current group or none
  std::vector<std::string> distribution_hosts;
  std::string master;
  bool is_distributed = false;  // the current group takes part
};

// `parameters`: the framework's, such as sagemaker_mpi_enabled.
Cluster cluster_of(const protocol::Assignment& assignment, const PythonDict& parameters);

// parameters.get(name, False), as a condition
bool is_enabled(const PythonDict& parameters, std::string_view name);

// For tf.distribute: one master, workers, a parameter server on each host.
PythonValue tf_config_for_parameter_servers(const std::vector<std::string>& hosts,
                                            const std::string& host);
// For MultiWorkerMirroredStrategy: all are workers.
PythonValue tf_config_for_workers(const std::vector<std::string>& hosts, const std::string& host);

// What the TensorFlow images set, or nothing.
std::optional<PythonValue> tf_config(const protocol::Assignment& assignment,
                                     const PythonDict& parameters, const Cluster& cluster);

}  // namespace trainyard::agent
