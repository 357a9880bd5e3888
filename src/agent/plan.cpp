// SPDX-License-Identifier: Apache-2.0
#include "agent/plan.hpp"

#include <algorithm>

#include "agent/child.hpp"
#include "agent/mpi.hpp"
#include "agent/script.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "launch/wire.hpp"

namespace trainyard::agent {

namespace {

void set_variable(protocol::StringPairs& variables, const std::string& name,
                  const std::string& value) {
  auto found = std::find_if(variables.begin(), variables.end(),
                            [&](const auto& pair) { return pair.first == name; });
  if (found == variables.end()) {
    variables.emplace_back(name, value);
  } else {
    found->second = value;
  }
}

// The code folder first, then what the job's Environment names.
void add_code_folder(protocol::StringPairs& variables, const std::string& code) {
  for (auto& [name, value] : variables) {
    bool has_it = value == code || value.starts_with(code + ":");
    if (name == "PYTHONPATH" && !has_it) value = code + (value.empty() ? "" : ":" + value);
  }
}

// The kernel cuts at a NUL and at the first '=' of a name; Python refuses both, and half
// characters.
Result<> check_for_the_kernel(const Plan& plan) {
  auto is_whole = [](const std::string& text) {
    return text.find('\0') == std::string::npos && is_valid_utf8(text);
  };
  constexpr const char* kAdvice =
      "Hyperparameters cannot hold NUL characters or half surrogate pairs, nor their names '='.";
  for (const auto& [name, value] : plan.variables) {
    if (is_whole(name) && is_whole(value) && name.find('=') == std::string::npos) continue;
    std::string shown = to_valid_utf8(replace_all(name, std::string_view("\0", 1), "\\0"));
    return algorithm_error(
        fmt::format("The variable {} cannot be set: {}, exit code: 1", shown, kAdvice));
  }
  for (const std::string& argument : plan.command) {
    if (is_whole(argument)) continue;
    return algorithm_error(fmt::format("An argument cannot be passed: {}, exit code: 1", kAdvice));
  }
  return {};
}

int gpu_count(const protocol::Assignment& assignment) {
  return assignment.gpus ? static_cast<int>(assignment.gpus->size()) : 0;
}

// What only the members of this job know. The job's credentials are its own, and end with it.
std::string gang_secret(const protocol::Assignment& assignment) {
  const protocol::ServerAccess& server = assignment.server;
  return launch::signature(
      server.secret_key + server.session_token,
      fmt::format("mpi {} {} {}", assignment.job_arn, assignment.created_ms, assignment.attempt));
}

constexpr uint16_t kParameterServerPort = 2222;  // of the leader's script: contract.md H
// Ours, where the toolkit has ssh's: no program uses it, and below the ports that the kernel picks.
constexpr uint16_t kMpiPort = 7022;

launch::Arrangement arrangement_of(const Context& context, const Cluster& cluster,
                                   launch::Kind kind) {
  launch::Arrangement arrangement;
  arrangement.kind = kind;
  arrangement.host = context.assignment.host;
  arrangement.hosts = cluster.distribution_hosts;
  arrangement.port = kind == launch::Kind::parameter_server ? kParameterServerPort : kMpiPort;
  return arrangement;
}

// As the TensorFlow images start it: on the CPU, for the cluster that TF_CONFIG describes.
constexpr const char* kParameterServer = R"(
import json, os, sys
import tensorflow as tf
cluster = tf.train.ClusterSpec(json.loads(os.environ["TF_CONFIG"])["cluster"])
tf.distribute.Server(cluster, job_name="ps", task_index=int(sys.argv[1]),
                     config=tf.compat.v1.ConfigProto(device_count={"GPU": 0})).join()
)";

void add_parameter_server(const Context& context, const Cluster& cluster, const std::string& python,
                          Plan& plan) {
  const auto& hosts = cluster.distribution_hosts;
  auto index = std::find(hosts.begin(), hosts.end(), context.assignment.host) - hosts.begin();
  auto arrangement = arrangement_of(context, cluster, launch::Kind::parameter_server);
  arrangement.command = plan.command;
  arrangement.server = {python, "-c", kParameterServer, std::to_string(index)};
  plan.arrangement = std::move(arrangement);
}

Result<> put_under_mpirun(const Context& context, const Script& script, const Cluster& cluster,
                          const std::string& python, const std::vector<std::string>& exported,
                          Plan& plan) {
  bool is_there =
      find_program("mpirun") || find_program((context.environment.folder / "bin/mpirun").string());
  if (!is_there) {
    return algorithm_error(
        "sagemaker_mpi_enabled: there is no mpirun on this host: apt-get install openmpi-bin, or "
        "use an environment that has one, exit code: 1");
  }
  const auto& hosts = cluster.distribution_hosts;
  bool is_leader = context.assignment.host == cluster.master;
  auto arrangement = arrangement_of(
      context, cluster, is_leader ? launch::Kind::mpi_leader : launch::Kind::mpi_worker);
  MpiOptions options = mpi_options(script.framework_parameters, hosts.size());
  if (is_leader) {
    arrangement.command = mpirun_command(options, hosts, exported);
    arrangement.ranks = rank_command(std::move(plan.command), python);
    plan.command = arrangement.command;
    plan.command.insert(plan.command.end(), arrangement.ranks.begin(), arrangement.ranks.end());
  } else {
    plan.command = {"wait", "for", "mpirun"};
  }
  arrangement.python = python;
  arrangement.processes_per_host = options.processes_per_host;
  arrangement.secret = gang_secret(context.assignment);
  plan.arrangement = std::move(arrangement);
  return {};
}

Result<> choose_command(const Context& context, const Script& script,
                        const std::vector<std::string>& exported, Plan& plan) {
  const environments::Launcher& launcher = context.recipe.launcher;
  std::error_code error;
  fs::path code = context.ml / "code";
  std::string python = context.layer / "bin/python";
  auto kind = kind_of(script, fs::exists(code / "setup.py", error));
  if (kind == ProgramKind::shell_command) {
    auto program = path_without_links(code, script.program);
    if (program) fs::permissions(*program, fs::perms::all, error);
  }
  plan.command = script_command(script, kind, python);
  Cluster cluster = cluster_of(context.assignment, script.framework_parameters);
  if (!cluster.is_distributed) return {};
  auto is_asked = [&](const char* name) { return is_enabled(script.framework_parameters, name); };
  if (is_asked("sagemaker_mpi_enabled")) {
    return put_under_mpirun(context, script, cluster, python, exported, plan);
  }
  if (is_asked("sagemaker_torch_distributed_enabled") && launcher.has("torchrun")) {
    if (kind == ProgramKind::python_package) {
      return algorithm_error(
          "Python packages are not supported for torch_distributed. Please use a python script as "
          "the entry-point, exit code: 1");
    }
    if (kind == ProgramKind::shell_command) {
      return algorithm_error("Unsupported entry point type for torch_distributed, exit code: 1");
    }
    plan.command = torchrun_command(script, cluster, context.assignment.host, python,
                                    gpu_count(context.assignment));
  } else if (is_asked("sagemaker_parameter_server_enabled") && launcher.has("tf_config") &&
             context.assignment.hosts.size() > 1) {
    add_parameter_server(context, cluster, python, plan);
  }
  return {};
}

}  // namespace

Result<Plan> make_plan(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  Plan plan;
  plan.variables = base_variables(context);
  if (!assignment.entrypoint.empty()) {
    plan.is_script_mode = false;
    plan.command = assignment.entrypoint;
    plan.command.insert(plan.command.end(), assignment.arguments.begin(),
                        assignment.arguments.end());
    return plan;
  }
  const environments::Launcher& launcher = context.recipe.launcher;
  Script script = script_of(assignment, launcher);
  if (script.program.empty()) {
    return client_error(
        "No script to run: neither the hyperparameter sagemaker_program nor the "
        "environment variable SAGEMAKER_PROGRAM names one, and there is no "
        "ContainerEntrypoint.");
  }
  add_code_folder(plan.variables, context.shown_ml + "/code");
  ScriptHost host{context.shown_ml, cpu_count(), gpu_count(assignment)};
  auto set_by_toolkit = script_variables(assignment, script, launcher, host);
  std::vector<std::string> names;
  for (const auto& [name, value] : set_by_toolkit) {
    set_variable(plan.variables, name, value);
    if (name.starts_with("SM_")) names.push_back(name);
  }
  names.emplace_back("PYTHONPATH");
  TRY(choose_command(context, script, names, plan));
  TRY(check_for_the_kernel(plan));
  return plan;
}

}  // namespace trainyard::agent
