// SPDX-License-Identifier: Apache-2.0
// Script mode (contract.md G): what is run, with which arguments and variables. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::agent {

struct Script {
  std::string program;           // "train.py"; empty: none is named
  std::string submit_directory;  // "s3://bucket/job/source/sourcedir.tar.gz"
  std::string log_level = "20";
  json::object hyperparameters;        // the user's, decoded, in the request's order
  json::object framework_parameters;   // the other sagemaker_*
  std::vector<std::string> arguments;  // "--epochs", "3", …; sorted by name
};

Script script_of(const protocol::Assignment& assignment);

// resourceconfig.json and inputdataconfig.json (G.3).
json::object resource_config(const protocol::Assignment& assignment);
json::object input_data_config(const protocol::Assignment& assignment);

// What of the host goes into the variables.
struct ScriptHost {
  std::string ml = "/opt/ml";
  std::string module;  // SM_FRAMEWORK_MODULE
  int cpu_count = 1;
};

// SM_* and TRAINING_JOB_*, in the toolkit's order (G.4, G.5).
protocol::StringPairs script_variables(const protocol::Assignment& assignment, const Script& script,
                                       const ScriptHost& host);

// How the program is started (G.7 2).
enum class ProgramKind { python_file, python_package, shell_command };

ProgramKind kind_of(const Script& script, bool has_setup_py);

// argv without quoting, to be run in /opt/ml/code.
std::vector<std::string> script_command(const Script& script, ProgramKind kind,
                                        const std::string& python);

// The text for a shell, quoted where it must be.
std::string shell_quoted(const std::vector<std::string>& arguments);

}  // namespace trainyard::agent
