// SPDX-License-Identifier: Apache-2.0
#include "agent/script.hpp"

#include <algorithm>
#include <array>

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

constexpr const char* kMasterPort = "7777";

bool is_consumed(std::string_view name) {
  return std::find(kConsumed.begin(), kConsumed.end(), name) != kConsumed.end();
}

std::string module_of(const std::string& program) {
  return program.ends_with(".py") ? program.substr(0, program.size() - 3) : program;
}

std::vector<std::string> arguments_of(PythonDict hyperparameters) {
  std::sort(hyperparameters.begin(), hyperparameters.end(),
            [](const auto& one, const auto& other) { return one.first < other.first; });
  std::vector<std::string> arguments;
  for (const auto& [name, value] : hyperparameters) {
    size_t length = code_points(name).size();
    const char* dashes = length == 0 ? "" : length == 1 ? "-" : "--";
    arguments.push_back(dashes + name);
    arguments.push_back(as_argument(value));
  }
  return arguments;
}

const std::string* find_variable(const protocol::StringPairs& variables, std::string_view name) {
  for (const auto& [other, value] : variables) {
    if (other == name) return &value;
  }
  return nullptr;
}

// The jobs of one tuning must not write to the same model_dir: contract.md I.1.
void separate_model_dir(PythonDict& hyperparameters, const std::string& job_name) {
  const PythonValue* given = find(hyperparameters, "model_dir");
  std::string folder = python_str(given == nullptr ? PythonValue() : *given);
  bool is_local = folder.starts_with("/opt/ml");
  assign(hyperparameters, "model_dir", is_local ? folder : folder + "/" + job_name + "/model");
}

PythonDict to_dict(const protocol::InstanceGroup& group) {
  return {{"instance_group_name", group.name},
          {"instance_type", group.instance_type},
          {"hosts", group.hosts}};
}

PythonValue model_parallel(const protocol::Assignment& assignment) {
  const std::string* parameters = find_variable(assignment.environment, "SM_HP_MP_PARAMETERS");
  if (parameters == nullptr) return {};
  return parameters->empty() ? PythonValue("") : PythonValue(*parameters != "{}");
}

PythonDict channel_folders(const protocol::Assignment& assignment, const ScriptHost& host) {
  PythonDict folders;
  for (const Channel& channel : assignment.channels) {
    assign(folders, channel.name, host.ml + "/input/data/" + channel.name);
  }
  return folders;
}

// The properties of the toolkit's Environment: SM_TRAINING_ENV, and the source of most variables.
PythonDict properties(const protocol::Assignment& assignment, const Script& script,
                      const std::string& module, const ScriptHost& host) {
  Cluster cluster = cluster_of(assignment, script.framework_parameters);
  PythonList names;
  PythonDict groups;
  for (const protocol::InstanceGroup& group : cluster.groups) {
    names.emplace_back(group.name);
    assign(groups, group.name, to_dict(group));
  }
  return {
      {"additional_framework_parameters", script.framework_parameters},
      {"channel_input_dirs", channel_folders(assignment, host)},
      {"current_host", assignment.host},
      {"current_instance_group", cluster.current_group},
      {"current_instance_group_hosts", cluster.current_group_hosts},
      {"current_instance_type", protocol::instance_type_of(assignment)},
      {"distribution_hosts", cluster.distribution_hosts},
      {"distribution_instance_groups", cluster.distribution_groups},
      {"framework_module", module.empty() ? PythonValue() : PythonValue(module)},
      {"hosts", assignment.hosts},
      {"hyperparameters", script.hyperparameters},
      {"input_config_dir", host.ml + "/input/config"},
      {"input_data_config", to_python(input_data_config(assignment))},
      {"input_dir", host.ml + "/input"},
      {"instance_groups", std::move(names)},
      {"instance_groups_dict", std::move(groups)},
      {"is_hetero", cluster.groups.size() > 1},
      {"is_master", assignment.host == cluster.master},
      {"is_modelparallel_enabled", model_parallel(assignment)},
      {"is_smddpmprun_installed", false},
      {"is_smddprun_installed", false},
      {"job_name", assignment.job_name},
      {"log_level", script.log_level},
      {"master_hostname", cluster.master},
      {"model_dir", host.ml + "/model"},
      {"module_dir", script.submit_directory.empty() ? host.ml + "/code" : script.submit_directory},
      {"module_name", script.module},
      {"network_interface_name", "eth0"},
      {"num_cpus", host.cpu_count},
      {"num_gpus", host.gpu_count},
      {"num_neurons", 0},
      {"output_data_dir", host.ml + "/output/data"},
      {"output_dir", host.ml + "/output"},
      {"output_intermediate_dir", host.ml + "/output/intermediate"},
      {"resource_config", to_python(resource_config(assignment))},
      {"topology", PythonValue()},
      {"user_entry_point", script.program}};
}

// SM_<variable> and the property that it shows. The toolkit's order.
constexpr auto kShown = std::to_array<std::pair<const char*, const char*>>(
    {{"HOSTS", "hosts"},
     {"NETWORK_INTERFACE_NAME", "network_interface_name"},
     {"HPS", "hyperparameters"},
     {"USER_ENTRY_POINT", "user_entry_point"},
     {"FRAMEWORK_PARAMS", "additional_framework_parameters"},
     {"RESOURCE_CONFIG", "resource_config"},
     {"INPUT_DATA_CONFIG", "input_data_config"},
     {"OUTPUT_DATA_DIR", "output_data_dir"},
     {"CURRENT_HOST", "current_host"},
     {"CURRENT_INSTANCE_TYPE", "current_instance_type"},
     {"CURRENT_INSTANCE_GROUP", "current_instance_group"},
     {"CURRENT_INSTANCE_GROUP_HOSTS", "current_instance_group_hosts"},
     {"INSTANCE_GROUPS", "instance_groups"},
     {"INSTANCE_GROUPS_DICT", "instance_groups_dict"},
     {"DISTRIBUTION_INSTANCE_GROUPS", "distribution_instance_groups"},
     {"IS_HETERO", "is_hetero"},
     {"MODULE_NAME", "module_name"},
     {"LOG_LEVEL", "log_level"},
     {"FRAMEWORK_MODULE", "framework_module"},
     {"INPUT_DIR", "input_dir"},
     {"INPUT_CONFIG_DIR", "input_config_dir"},
     {"OUTPUT_DIR", "output_dir"},
     {"NUM_CPUS", "num_cpus"},
     {"NUM_GPUS", "num_gpus"},
     {"NUM_NEURONS", "num_neurons"},
     {"MODEL_DIR", "model_dir"},
     {"MODULE_DIR", "module_dir"},
     {"OUTPUT_INTERMEDIATE_DIR", "output_intermediate_dir"}});

}  // namespace

json::object resource_config(const protocol::Assignment& assignment) {
  auto all = protocol::groups_of(assignment);
  json::array groups;
  std::string current;
  for (const protocol::InstanceGroup& group : all) {
    groups.push_back(json::object{{"instance_group_name", group.name},
                                  {"instance_type", group.instance_type},
                                  {"hosts", json::to_array(group.hosts)}});
    bool is_here =
        std::find(group.hosts.begin(), group.hosts.end(), assignment.host) != group.hosts.end();
    if (is_here && current.empty()) current = group.name;
  }
  return {{"current_group_name", current},
          {"current_host", assignment.host},
          {"current_instance_type", protocol::instance_type_of(assignment)},
          {"hosts", json::to_array(assignment.hosts)},
          {"instance_groups", std::move(groups)},
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

Script script_of(const protocol::Assignment& assignment, const environments::Launcher& launcher) {
  Script script;
  bool is_tuned = false;
  for (const auto& [name, text] : assignment.hyperparameters) {
    PythonValue value = decode_hyperparameter(text);
    if (name == "sagemaker_program" && !value.is_none()) script.program = python_str(value);
    if (name == "sagemaker_submit_directory") script.submit_directory = python_str(value);
    if (name == "sagemaker_container_log_level") script.log_level = value;
    if (name == "sagemaker_job_name") script.job_name = python_str(value);
    if (name == "sagemaker_region") script.region = python_str(value);
    is_tuned = is_tuned || name == "_tuning_objective_metric";
    if (is_consumed(name)) continue;
    bool is_framework = name.starts_with("sagemaker_");
    assign(is_framework ? script.framework_parameters : script.hyperparameters, name, value);
  }
  // It wins over the hyperparameter: G.4.
  const std::string* program = find_variable(assignment.environment, "SAGEMAKER_PROGRAM");
  if (program != nullptr && !program->empty()) script.program = *program;
  script.module = program != nullptr ? module_of(*program) : module_of(script.program);
  if (is_tuned && launcher.has("tuned_model_dir")) {
    separate_model_dir(script.hyperparameters, assignment.job_name);
  }
  script.arguments = arguments_of(script.hyperparameters);
  return script;
}

protocol::StringPairs script_variables(const protocol::Assignment& assignment, const Script& script,
                                       const environments::Launcher& launcher,
                                       const ScriptHost& host) {
  PythonDict shown = properties(assignment, script, launcher.module, host);
  PythonDict variables;
  auto set = [&](std::string name, const PythonValue& value) {
    assign(variables, std::move(name), as_variable(value));
  };
  set("SAGEMAKER_JOB_NAME", script.job_name);
  set("CURRENT_HOST", assignment.host);
  set("SAGEMAKER_REGION", script.region.empty() ? assignment.server.region : script.region);
  std::vector<std::string> channels;
  for (const auto& [name, folder] : channel_folders(assignment, host)) channels.push_back(name);
  std::sort(channels.begin(), channels.end());
  for (const auto& [name, property] : kShown) {
    set("SM_" + std::string(name), *find(shown, property));
    if (property == std::string_view("output_data_dir")) set("SM_CHANNELS", channels);
    if (property != std::string_view("module_dir")) continue;
    set("SM_TRAINING_ENV", shown);
    set("SM_USER_ARGS", script.arguments);
  }
  // Names that differ in case alone share a variable: the last one has it.
  for (const Channel& channel : assignment.channels) {
    set("SM_CHANNEL_" + python_upper(channel.name), host.ml + "/input/data/" + channel.name);
  }
  for (const auto& [name, value] : script.hyperparameters) {
    set("SM_HP_" + python_upper(name), value);
  }
  Cluster cluster = cluster_of(assignment, script.framework_parameters);
  if (launcher.has("tf_config")) {
    auto config = tf_config(assignment, script.framework_parameters, cluster);
    if (config) set("TF_CONFIG", dump_plain(*config));
  }
  if (launcher.has("master_address")) {
    set("MASTER_ADDR", cluster.master);
    set("MASTER_PORT", kMasterPort);
  }
  protocol::StringPairs list;
  for (const auto& [name, value] : variables) list.emplace_back(name, *value.if_text());
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

std::vector<std::string> torchrun_command(const Script& script, const Cluster& cluster,
                                          const std::string& host, const std::string& python,
                                          int gpu_count) {
  const PythonValue* named =
      find(script.framework_parameters, "sagemaker_mpi_num_of_processes_per_host");
  std::string processes =
      named != nullptr ? python_str(*named) : std::to_string(std::max(gpu_count, 1));
  const auto& hosts = cluster.distribution_hosts;
  std::vector<std::string> command = {python,
                                      "-m",
                                      "torch.distributed.run",
                                      "--nnodes",
                                      std::to_string(hosts.size()),
                                      "--nproc_per_node",
                                      processes};
  if (hosts.size() > 1) {
    auto rank = std::find(hosts.begin(), hosts.end(), host) - hosts.begin();
    command.insert(command.end(), {"--master_addr", cluster.master, "--master_port", kMasterPort,
                                   "--node_rank", std::to_string(rank)});
  }
  command.push_back(script.program);
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
