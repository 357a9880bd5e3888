// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/create_request.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "api/sagemaker/job_tags.hpp"
#include "base/text.hpp"
#include "model/s3_uri.hpp"

namespace trainyard::api::sagemaker {

namespace {

const json::object& member(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::object* found = json::find_object(object, name);
  return found == nullptr ? kEmpty : *found;
}

aws::Fault invalid(std::string message) {
  return {"ValidationException", std::move(message)};
}

std::vector<std::string> texts(const json::object& object, std::string_view name) {
  return json::find_texts(object, name).value_or(std::vector<std::string>());
}

std::optional<aws::Fault> check_channel(const json::object& channel, std::string_view job_mode) {
  std::string name = json::find_string(channel, "ChannelName").value_or("");
  // The pattern lets them pass; as folders they are others.
  if (name == "." || name == "..") return invalid("'" + name + "' cannot be a channel's name");
  const json::object& source = member(channel, "DataSource");
  const json::object* s3 = json::find_object(source, "S3DataSource");
  if (s3 == nullptr) {
    return invalid(
        fmt::format("Channel '{}' has no S3DataSource; FileSystemDataSource and DatasetSource are "
                    "not supported",
                    name));
  }
  std::string mode = json::find_string(channel, "InputMode").value_or(std::string(job_mode));
  std::string type = *json::find_string(*s3, "S3DataType");
  if (type == "AugmentedManifestFile" && mode != "Pipe") {
    return invalid("AugmentedManifestFile is only supported with input mode Pipe");
  }
  if (mode == "FastFile" && type != "S3Prefix") {
    return invalid("Input mode FastFile is only supported with S3DataType S3Prefix");
  }
  if (type == "Converse") {
    return invalid(fmt::format("S3DataType {} of channel '{}' is not supported", type, name));
  }
  if (type == "AugmentedManifestFile" && texts(*s3, "AttributeNames").empty()) {
    return invalid(fmt::format(
        "AttributeNames of channel '{}' is required with S3DataType AugmentedManifestFile", name));
  }
  if (!S3Uri::parse(*json::find_string(*s3, "S3Uri"))) {
    return invalid(fmt::format("S3Uri '{}' of channel '{}' is not of the form s3://bucket/prefix",
                               *json::find_string(*s3, "S3Uri"), name));
  }
  return std::nullopt;
}

std::optional<aws::Fault> check_time_limits(const json::object& request) {
  constexpr int64_t kLongestSeconds = 28 * 86400;  // contract.md B.1
  const json::object& stopping = member(request, "StoppingCondition");
  auto max_wait = json::find_integer(stopping, "MaxWaitTimeInSeconds");
  bool is_spot = json::find_bool(request, "EnableManagedSpotTraining").value_or(false);
  if (max_wait && !is_spot) {
    return invalid(
        "Invalid MaxWaitTimeInSeconds. It is only supported when "
        "EnableManagedSpotTraining is set to true");
  }
  auto max_runtime = json::find_integer(stopping, "MaxRuntimeInSeconds").value_or(86400);
  if (max_runtime > kLongestSeconds) {
    return invalid(fmt::format(
        "1 validation error detected: Value '{}' at 'stoppingCondition.maxRuntimeInSeconds' "
        "failed to satisfy constraint: Member must have value less than or equal to {}",
        max_runtime, kLongestSeconds));
  }
  if (is_spot && max_wait.value_or(0) < max_runtime) {
    return invalid(
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal "
        "to MaxRuntimeInSeconds");
  }
  auto keep_alive =
      json::find_integer(member(request, "ResourceConfig"), "KeepAlivePeriodInSeconds");
  if (is_spot && keep_alive.value_or(0) > 0) {
    return invalid(
        "KeepAlivePeriodInSeconds is not supported when EnableManagedSpotTraining is set to true");
  }
  return std::nullopt;
}

// Of one job. An own limit, far above what a service's quota on AWS is by default.
constexpr int64_t kMaxInstances = 1000;

int64_t instances_of_groups(const json::object& resources) {
  int64_t count = 0;
  const json::array* groups = json::find_array(resources, "InstanceGroups");
  for (size_t i = 0; groups != nullptr && i < groups->size(); ++i) {
    count += json::find_integer((*groups)[i].get_object(), "InstanceCount").value_or(0);
  }
  return count;
}

std::optional<aws::Fault> check_groups(const json::object& resources) {
  bool has_both = json::find(resources, "InstanceType") != nullptr ||
                  json::find(resources, "InstanceCount") != nullptr;
  if (has_both) {
    return invalid("ResourceConfig.InstanceGroups excludes InstanceType and InstanceCount");
  }
  std::set<std::string> names;
  const json::array& groups = *json::find_array(resources, "InstanceGroups");
  for (const json::value& group : groups) {
    std::string name = json::find_string(group.get_object(), "InstanceGroupName").value_or("");
    if (!names.insert(name).second) {
      return invalid(fmt::format("Duplicate instance group name '{}' in InstanceGroups", name));
    }
  }
  return std::nullopt;
}

// Channels may be for the hosts of some groups alone.
std::optional<aws::Fault> check_channel_groups(const json::object& request) {
  std::set<std::string> known;
  const json::object& resources = member(request, "ResourceConfig");
  const json::array* groups = json::find_array(resources, "InstanceGroups");
  for (size_t i = 0; groups != nullptr && i < groups->size(); ++i) {
    known.insert(json::find_string((*groups)[i].get_object(), "InstanceGroupName").value_or(""));
  }
  const json::array* channels = json::find_array(request, "InputDataConfig");
  for (size_t i = 0; channels != nullptr && i < channels->size(); ++i) {
    const json::object& channel = (*channels)[i].get_object();
    auto names = json::find_texts(member(member(channel, "DataSource"), "S3DataSource"),
                                  "InstanceGroupNames");
    for (size_t k = 0; names && k < names->size(); ++k) {
      if (known.contains((*names)[k])) continue;
      return invalid(
          fmt::format("Instance group '{}' of channel '{}' is not one of ResourceConfig's",
                      (*names)[k], json::find_string(channel, "ChannelName").value_or("")));
    }
  }
  return std::nullopt;
}

std::optional<aws::Fault> check_resources(const json::object& request) {
  const json::object& resources = member(request, "ResourceConfig");
  bool has_groups = json::find_array(resources, "InstanceGroups") != nullptr;
  if (has_groups) {
    if (auto fault = check_groups(resources)) return fault;
  }
  if (json::find(resources, "InstancePreferences") != nullptr) {
    return invalid(
        "ResourceConfig.InstancePreferences is not supported; give InstanceType and "
        "InstanceCount");
  }
  for (const char* name : {"InstanceType", "InstanceCount"}) {
    if (has_groups || json::find(resources, name) != nullptr) continue;
    return invalid(
        fmt::format("1 validation error detected: Value null at 'resourceConfig.i{}' failed to "
                    "satisfy constraint: Member must not be null",
                    name + 1));
  }
  auto count = has_groups ? instances_of_groups(resources)
                          : json::find_integer(resources, "InstanceCount").value_or(1);
  if (count < 1 || count > kMaxInstances) {
    return invalid(
        fmt::format("ResourceConfig.InstanceCount {} is not supported; a job has from 1 to {} "
                    "instances here",
                    count, kMaxInstances));
  }
  return std::nullopt;
}

// contract.md B.1, DebugHookConfig and its siblings
std::optional<aws::Fault> check_profiler(const json::object& request) {
  constexpr std::array<int64_t, 6> kIntervals = {100, 200, 500, 1000, 5000, 60000};
  auto interval =
      json::find_integer(member(request, "ProfilerConfig"), "ProfilingIntervalInMilliseconds");
  if (!interval || std::find(kIntervals.begin(), kIntervals.end(), *interval) != kIntervals.end()) {
    return std::nullopt;
  }
  return invalid(fmt::format("ProfilerConfig.ProfilingIntervalInMilliseconds {} is not one of {}",
                             *interval, fmt::join(kIntervals, ", ")));
}

std::optional<aws::Fault> check_algorithm(const json::object& request) {
  const json::object& algorithm = member(request, "AlgorithmSpecification");
  if (json::find(algorithm, "AlgorithmName") != nullptr) {
    return invalid("AlgorithmSpecification.AlgorithmName is not supported; give a TrainingImage");
  }
  if (json::find_string(algorithm, "TrainingImage").value_or("").empty()) {
    return invalid("AlgorithmSpecification.TrainingImage is required");
  }
  if (json::find(request, "ServerlessJobConfig") != nullptr) {
    return invalid("ServerlessJobConfig is not supported");
  }
  const json::array* metrics = json::find_array(algorithm, "MetricDefinitions");
  std::set<std::string> names;
  for (size_t i = 0; metrics != nullptr && i < metrics->size(); ++i) {
    const json::object& metric = (*metrics)[i].get_object();
    std::string name = *json::find_string(metric, "Name");
    if (!names.insert(name).second) {
      return invalid(fmt::format("Duplicate metric name '{}' in MetricDefinitions", name));
    }
  }
  return std::nullopt;
}

std::optional<aws::Fault> check_tags(const json::object& request) {
  const json::array* tags = json::find_array(request, "Tags");
  return tags == nullptr ? std::nullopt : check_tag_keys(*tags);
}

// Where files come from and go to.
std::optional<aws::Fault> check_places(const json::object& request) {
  std::string output = *json::find_string(member(request, "OutputDataConfig"), "S3OutputPath");
  if (!S3Uri::parse(output)) {
    return invalid(fmt::format("S3OutputPath '{}' is not of the form s3://bucket/prefix", output));
  }
  const json::object* checkpoint = json::find_object(request, "CheckpointConfig");
  if (checkpoint == nullptr) return std::nullopt;
  std::string uri = *json::find_string(*checkpoint, "S3Uri");
  if (!S3Uri::parse(uri)) {
    return invalid(
        fmt::format("CheckpointConfig.S3Uri '{}' is not of the form s3://bucket/prefix", uri));
  }
  std::string path = json::find_string(*checkpoint, "LocalPath").value_or("/opt/ml/checkpoints");
  if (!path.starts_with('/')) {
    return invalid(fmt::format("CheckpointConfig.LocalPath '{}' is not an absolute path", path));
  }
  return std::nullopt;
}

protocol::StringPairs pairs(const json::object& object, std::string_view name) {
  protocol::StringPairs result;
  for (const auto& [key, value] : member(object, name)) {
    result.emplace_back(std::string(key.data(), key.size()), json::view(value.get_string()));
  }
  return result;
}

Channel to_channel(const json::object& document, InputMode job_mode) {
  const json::object& s3 = member(member(document, "DataSource"), "S3DataSource");
  auto word = [](const json::object& object, std::string_view name) {
    return json::find_string(object, name).value_or("");
  };
  Channel channel;
  channel.name = word(document, "ChannelName");
  channel.s3_uri = word(s3, "S3Uri");
  channel.data_type = parse_data_type(word(s3, "S3DataType")).value_or(S3DataType::prefix);
  channel.distribution = parse_distribution(word(s3, "S3DataDistributionType"))
                             .value_or(Distribution::fully_replicated);
  channel.input_mode = parse_input_mode(word(document, "InputMode")).value_or(job_mode);
  channel.content_type = word(document, "ContentType");
  channel.is_gzip = word(document, "CompressionType") == "Gzip";
  channel.is_record_io = word(document, "RecordWrapperType") == "RecordIO";
  channel.attribute_names = texts(s3, "AttributeNames");
  channel.instance_groups = texts(s3, "InstanceGroupNames");
  channel.shuffle_seed = json::find_integer(member(document, "ShuffleConfig"), "Seed");
  return channel;
}

// algo-1, algo-2, … in the order of the groups.
void set_groups(const json::array& groups, protocol::Assignment& assignment) {
  assignment.hosts.clear();
  for (const json::value& value : groups) {
    const json::object& entry = value.get_object();
    protocol::InstanceGroup group;
    group.name = json::find_string(entry, "InstanceGroupName").value_or("");
    group.instance_type = json::find_string(entry, "InstanceType").value_or("");
    auto count = json::find_integer(entry, "InstanceCount").value_or(0);
    for (int64_t i = 0; i < count; ++i) {
      group.hosts.push_back(fmt::format("algo-{}", assignment.hosts.size() + 1));
      assignment.hosts.push_back(group.hosts.back());
    }
    assignment.instance_groups.push_back(std::move(group));
  }
  // As strings, which is what scripts expect: algo-1, algo-10, algo-2.
  for (auto& group : assignment.instance_groups) std::sort(group.hosts.begin(), group.hosts.end());
  std::sort(assignment.hosts.begin(), assignment.hosts.end());
  assignment.instance_type = protocol::instance_type_of(assignment);
}

void set_hosts(int64_t count, protocol::Assignment& assignment) {
  assignment.hosts.clear();
  for (int64_t i = 1; i <= count; ++i) assignment.hosts.push_back(fmt::format("algo-{}", i));
  std::sort(assignment.hosts.begin(), assignment.hosts.end());
}

}  // namespace

std::optional<aws::Fault> check_tag_keys(const json::array& tags) {
  std::set<std::string> keys;
  for (const json::value& tag : tags) {
    std::string key = *json::find_string(tag.get_object(), "Key");
    if (to_upper(key).starts_with("AWS:")) {
      return invalid(fmt::format("Tag key '{}': keys that begin with aws: are reserved", key));
    }
    if (!keys.insert(key).second) return invalid(fmt::format("Duplicate tag key '{}'", key));
  }
  return std::nullopt;
}

std::optional<aws::Fault> check_rules(const json::object& request) {
  for (auto* rule : {check_time_limits, check_resources, check_profiler, check_algorithm,
                     check_tags, check_job_tags, check_places, check_channel_groups}) {
    if (auto fault = rule(request)) return fault;
  }
  std::string mode =
      *json::find_string(member(request, "AlgorithmSpecification"), "TrainingInputMode");
  std::set<std::string> names;
  if (const json::array* channels = json::find_array(request, "InputDataConfig")) {
    for (const json::value& channel : *channels) {
      if (auto fault = check_channel(channel.get_object(), mode)) return fault;
      std::string name = *json::find_string(channel.get_object(), "ChannelName");
      if (!names.insert(name).second) {
        return invalid(fmt::format("Duplicate channel name '{}' in InputDataConfig", name));
      }
    }
  }
  return std::nullopt;
}

std::vector<metrics::Definition> metric_definitions(const json::object& request) {
  std::vector<metrics::Definition> definitions;
  const json::array* list =
      json::find_array(member(request, "AlgorithmSpecification"), "MetricDefinitions");
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const json::object& entry = (*list)[i].get_object();
    definitions.push_back({*json::find_string(entry, "Name"), *json::find_string(entry, "Regex")});
  }
  return definitions;
}

protocol::Assignment to_assignment(const json::object& request) {
  protocol::Assignment assignment;
  const json::object& algorithm = member(request, "AlgorithmSpecification");
  const json::object& output = member(request, "OutputDataConfig");
  assignment.job_name = *json::find_string(request, "TrainingJobName");
  assignment.image = *json::find_string(algorithm, "TrainingImage");
  assignment.entrypoint = texts(algorithm, "ContainerEntrypoint");
  assignment.arguments = texts(algorithm, "ContainerArguments");
  assignment.hyperparameters = pairs(request, "HyperParameters");
  assignment.environment = pairs(request, "Environment");
  assignment.instance_type =
      json::find_string(member(request, "ResourceConfig"), "InstanceType").value_or("");
  const json::array* groups = json::find_array(member(request, "ResourceConfig"), "InstanceGroups");
  if (groups != nullptr) {
    set_groups(*groups, assignment);
  } else {
    set_hosts(json::find_integer(member(request, "ResourceConfig"), "InstanceCount").value_or(1),
              assignment);
  }
  auto mode = parse_input_mode(*json::find_string(algorithm, "TrainingInputMode"));
  if (const json::array* channels = json::find_array(request, "InputDataConfig")) {
    for (const json::value& channel : *channels) {
      assignment.channels.push_back(
          to_channel(channel.get_object(), mode.value_or(InputMode::file)));
    }
  }
  assignment.output_s3_uri = *json::find_string(output, "S3OutputPath");
  assignment.is_output_compressed =
      json::find_string(output, "CompressionType").value_or("GZIP") == "GZIP";
  if (const json::object* checkpoint = json::find_object(request, "CheckpointConfig")) {
    assignment.checkpoint = protocol::CheckpointTarget{
        *json::find_string(*checkpoint, "S3Uri"),
        json::find_string(*checkpoint, "LocalPath").value_or("/opt/ml/checkpoints/")};
  }
  assignment.max_runtime_seconds =
      json::find_integer(member(request, "StoppingCondition"), "MaxRuntimeInSeconds")
          .value_or(86400);
  assignment.is_network_isolated =
      json::find_bool(request, "EnableNetworkIsolation").value_or(false);
  apply_job_tags(request, assignment);
  return assignment;
}

}  // namespace trainyard::api::sagemaker
