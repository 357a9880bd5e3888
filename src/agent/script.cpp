// SPDX-License-Identifier: Apache-2.0
#include "agent/script.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "agent/python_text.hpp"
#include "base/text.hpp"

namespace trainyard::agent {

namespace {

// Consumed by the toolkit itself: contract.md G.3.
constexpr std::array<std::string_view, 9> kConsumed = {"sagemaker_program",
                                                       "sagemaker_submit_directory",
                                                       "sagemaker_enable_cloudwatch_metrics",
                                                       "sagemaker_region",
                                                       "sagemaker_container_log_level",
                                                       "sagemaker_job_name",
                                                       "default_user_module_name",
                                                       "_tuning_objective_metric",
                                                       "sagemaker_s3_output"};

bool is_consumed(std::string_view name) {
  return std::find(kConsumed.begin(), kConsumed.end(), name) != kConsumed.end();
}

std::string module_of(const std::string& program) {
  return program.ends_with(".py") ? program.substr(0, program.size() - 3) : program;
}

std::vector<std::string> arguments_of(const json::object& hyperparameters) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : hyperparameters) sorted[std::string(name)] = as_argument(value);
  std::vector<std::string> arguments;
  for (const auto& [name, value] : sorted) {
    arguments.push_back((name.size() == 1 ? "-" : "--") + name);
    arguments.push_back(value);
  }
  return arguments;
}

// SM_TRAINING_ENV: everything once more, as one document.
json::object training_environment(const protocol::Assignment& assignment, const Script& script,
                                  const ScriptHost& host) {
  json::object channels;
  for (const Channel& channel : assignment.channels) {
    channels[channel.name] = host.ml + "/input/data/" + channel.name;
  }
  bool is_master = assignment.hosts.empty() || assignment.host == assignment.hosts.front();
  return {{"additional_framework_parameters", script.framework_parameters},
          {"channel_input_dirs", std::move(channels)},
          {"current_host", assignment.host},
          {"current_instance_group", "homogeneousCluster"},
          {"current_instance_group_hosts", json::to_array(assignment.hosts)},
          {"current_instance_type", assignment.instance_type},
          {"distribution_hosts", json::array()},
          {"distribution_instance_groups", json::array()},
          {"framework_module", host.module},
          {"hosts", json::to_array(assignment.hosts)},
          {"hyperparameters", script.hyperparameters},
          {"input_config_dir", host.ml + "/input/config"},
          {"input_data_config", input_data_config(assignment)},
          {"input_dir", host.ml + "/input"},
          {"instance_groups", json::array{"homogeneousCluster"}},
          {"is_hetero", false},
          {"is_master", is_master},
          {"is_modelparallel_enabled", nullptr},
          {"job_name", assignment.job_name},
          {"log_level", parse_signed(script.log_level).value_or(20)},
          {"master_hostname", assignment.hosts.empty() ? "algo-1" : assignment.hosts.front()},
          {"model_dir", host.ml + "/model"},
          {"module_dir", script.submit_directory},
          {"module_name", module_of(script.program)},
          {"network_interface_name", "eth0"},
          {"num_cpus", host.cpu_count},
          {"num_gpus", 0},
          {"num_neurons", 0},
          {"output_data_dir", host.ml + "/output/data"},
          {"output_dir", host.ml + "/output"},
          {"output_intermediate_dir", host.ml + "/output/intermediate"},
          {"resource_config", resource_config(assignment)},
          {"user_entry_point", script.program}};
}

}  // namespace

json::object resource_config(const protocol::Assignment& assignment) {
  json::object group{{"instance_group_name", "homogeneousCluster"},
                     {"instance_type", assignment.instance_type},
                     {"hosts", json::to_array(assignment.hosts)}};
  return {{"current_group_name", "homogeneousCluster"},
          {"current_host", assignment.host},
          {"current_instance_type", assignment.instance_type},
          {"hosts", json::to_array(assignment.hosts)},
          {"instance_groups", json::array{group}},
          {"network_interface_name", "eth0"},
          {"topology", nullptr}};
}

json::object input_data_config(const protocol::Assignment& assignment) {
  json::object document;
  for (const Channel& channel : assignment.channels) {
    json::object entry{{"TrainingInputMode", api_name(channel.input_mode)},
                       {"S3DistributionType", api_name(channel.distribution)},
                       {"RecordWrapperType", channel.is_record_io ? "RecordIO" : "None"}};
    if (!channel.content_type.empty()) entry["ContentType"] = channel.content_type;
    document[channel.name] = std::move(entry);
  }
  return document;
}

Script script_of(const protocol::Assignment& assignment) {
  Script script;
  auto text_of = [](const json::value& value) { return as_variable(value); };
  for (const auto& [name, text] : assignment.hyperparameters) {
    json::value value = decode_hyperparameter(text);
    if (name == "sagemaker_program") script.program = text_of(value);
    if (name == "sagemaker_submit_directory") script.submit_directory = text_of(value);
    if (name == "sagemaker_container_log_level") script.log_level = text_of(value);
    if (is_consumed(name)) continue;
    bool is_framework = name.starts_with("sagemaker_");
    (is_framework ? script.framework_parameters : script.hyperparameters)[name] = value;
  }
  for (const auto& [name, value] : assignment.environment) {
    if (name == "SAGEMAKER_PROGRAM") script.program = value;  // wins over the hyperparameter: G.4
  }
  script.arguments = arguments_of(script.hyperparameters);
  return script;
}

protocol::StringPairs script_variables(const protocol::Assignment& assignment, const Script& script,
                                       const ScriptHost& host) {
  protocol::StringPairs list;
  auto add = [&](std::string name, const auto& value) {
    if constexpr (std::is_convertible_v<decltype(value), std::string_view>) {
      list.emplace_back(std::move(name), std::string_view(value));
    } else {
      list.emplace_back(std::move(name), as_variable(value));
    }
  };
  std::vector<std::string> channels;
  for (const Channel& channel : assignment.channels) channels.push_back(channel.name);
  std::sort(channels.begin(), channels.end());
  json::object groups{
      {"homogeneousCluster", json::object{{"hosts", json::to_array(assignment.hosts)},
                                          {"instance_group_name", "homogeneousCluster"},
                                          {"instance_type", assignment.instance_type}}}};
  add("SM_HOSTS", json::to_array(assignment.hosts));
  add("SM_NETWORK_INTERFACE_NAME", "eth0");
  add("SM_HPS", script.hyperparameters);
  add("SM_USER_ENTRY_POINT", script.program);
  add("SM_FRAMEWORK_PARAMS", script.framework_parameters);
  add("SM_RESOURCE_CONFIG", resource_config(assignment));
  add("SM_INPUT_DATA_CONFIG", input_data_config(assignment));
  add("SM_OUTPUT_DATA_DIR", host.ml + "/output/data");
  add("SM_CHANNELS", json::to_array(channels));
  add("SM_CURRENT_HOST", assignment.host);
  add("SM_CURRENT_INSTANCE_TYPE", assignment.instance_type);
  add("SM_CURRENT_INSTANCE_GROUP", "homogeneousCluster");
  add("SM_CURRENT_INSTANCE_GROUP_HOSTS", json::to_array(assignment.hosts));
  add("SM_INSTANCE_GROUPS", json::array{"homogeneousCluster"});
  add("SM_INSTANCE_GROUPS_DICT", groups);
  add("SM_DISTRIBUTION_INSTANCE_GROUPS", json::array());
  add("SM_IS_HETERO", false);
  add("SM_MODULE_NAME", module_of(script.program));
  add("SM_LOG_LEVEL", script.log_level);
  add("SM_FRAMEWORK_MODULE", host.module);
  add("SM_INPUT_DIR", host.ml + "/input");
  add("SM_INPUT_CONFIG_DIR", host.ml + "/input/config");
  add("SM_OUTPUT_DIR", host.ml + "/output");
  add("SM_NUM_CPUS", host.cpu_count);
  add("SM_NUM_GPUS", 0);
  add("SM_NUM_NEURONS", 0);
  add("SM_MODEL_DIR", host.ml + "/model");
  add("SM_MODULE_DIR", script.submit_directory);
  add("SM_TRAINING_ENV", training_environment(assignment, script, host));
  add("SM_USER_ARGS", json::to_array(script.arguments));
  add("SM_OUTPUT_INTERMEDIATE_DIR", host.ml + "/output/intermediate");
  for (const Channel& channel : assignment.channels) {
    add("SM_CHANNEL_" + to_upper(channel.name), host.ml + "/input/data/" + channel.name);
  }
  for (const auto& [name, value] : script.hyperparameters) {
    add("SM_HP_" + to_upper(std::string_view(name.data(), name.size())), value);
  }
  return list;
}

ProgramKind kind_of(const Script& script, bool has_setup_py) {
  if (script.program.ends_with(".sh")) return ProgramKind::shell_command;
  if (has_setup_py) return ProgramKind::python_package;
  return script.program.ends_with(".py") ? ProgramKind::python_file : ProgramKind::shell_command;
}

std::vector<std::string> script_command(const Script& script, ProgramKind kind,
                                        const std::string& python) {
  std::vector<std::string> command;
  switch (kind) {
    case ProgramKind::python_file:
      command = {python, script.program};
      break;
    case ProgramKind::python_package:
      command = {python, "-m", module_of(script.program)};
      break;
    case ProgramKind::shell_command: {
      std::vector<std::string> words{"./" + script.program};
      words.insert(words.end(), script.arguments.begin(), script.arguments.end());
      return {"/bin/sh", "-c", shell_quoted(words)};
    }
  }
  command.insert(command.end(), script.arguments.begin(), script.arguments.end());
  return command;
}

std::string shell_quoted(const std::vector<std::string>& arguments) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
  std::string text;
  for (const std::string& argument : arguments) {
    if (!text.empty()) text += ' ';
    bool is_plain = !argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos;
    text += is_plain ? argument : "'" + replace_all(argument, "'", "'\"'\"'") + "'";
  }
  return text;
}

}  // namespace trainyard::agent
