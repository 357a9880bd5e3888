// SPDX-License-Identifier: Apache-2.0
// Script mode (contract.md G): what is run, with which arguments and variables. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/cluster.hpp"
#include "agent/python_value.hpp"
#include "base/json.hpp"
#include "environments/environment.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::agent {

struct Script {
  std::string program;           // "train.py"; empty: none is named
  std::string module;            // SM_MODULE_NAME; empty where SAGEMAKER_PROGRAM is set, and empty
  std::string submit_directory;  // "s3://bucket/job/source/sourcedir.tar.gz"; empty: none
  std::string job_name;          // sagemaker_job_name; empty: not given
  std::string region;            // sagemaker_region; empty: not given
  PythonValue log_level = 20;
  PythonDict hyperparameters;          // the user's, decoded, in the request's order
  PythonDict framework_parameters;     // the other sagemaker_*
  std::vector<std::string> arguments;  // "--epochs", "3", …; sorted by name
};

// `launcher`: what the image's framework changes.
Script script_of(const protocol::Assignment& assignment,
                 const environments::Launcher& launcher = {});

// resourceconfig.json and inputdataconfig.json (G.3).
json::object resource_config(const protocol::Assignment& assignment);
json::object input_data_config(const protocol::Assignment& assignment);

// What of the host goes into the variables.
struct ScriptHost {
  std::string ml = "/opt/ml";
  int cpu_count = 1;
  int gpu_count = 0;
};

// What the toolkit sets: SM_*, and TF_CONFIG or MASTER_ADDR where the framework wants them. Each
// name once; in the toolkit's order (G.5).
protocol::StringPairs script_variables(const protocol::Assignment& assignment, const Script& script,
                                       const environments::Launcher& launcher,
                                       const ScriptHost& host);

// How the program is started (G.7 2).
enum class ProgramKind { python_file, python_package, shell_command };

ProgramKind kind_of(const Script& script, bool has_setup_py);

// argv without quoting, to be run in /opt/ml/code.
std::vector<std::string> script_command(const Script& script, ProgramKind kind,
                                        const std::string& python);

// The same under torchrun, started by its module so that it is the job's own Python that runs it.
std::vector<std::string> torchrun_command(const Script& script, const Cluster& cluster,
                                          const std::string& host, const std::string& python,
                                          int gpu_count);

// The text for a shell, quoted where it must be.
std::string shell_quoted(const std::vector<std::string>& arguments);

}  // namespace trainyard::agent
