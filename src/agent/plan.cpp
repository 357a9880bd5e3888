// SPDX-License-Identifier: Apache-2.0
#include "agent/plan.hpp"

#include <algorithm>

#include "agent/child.hpp"
#include "agent/script.hpp"
#include "base/text.hpp"

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

Result<> choose_command(const Context& context, const Script& script, Plan& plan) {
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
    plan.notices.push_back(
        "sagemaker_mpi_enabled has no effect here: the script is started once, without mpirun");
  } else if (is_asked("sagemaker_torch_distributed_enabled") && launcher.has("torchrun")) {
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
    plan.notices.push_back(
        "sagemaker_parameter_server_enabled: TF_CONFIG is set, but no parameter servers are "
        "started; the script has to start them");
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
  for (const auto& [name, value] : set_by_toolkit) set_variable(plan.variables, name, value);
  TRY(choose_command(context, script, plan));
  TRY(check_for_the_kernel(plan));
  return plan;
}

}  // namespace trainyard::agent
