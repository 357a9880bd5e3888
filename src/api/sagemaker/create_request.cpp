// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/create_request.hpp"

#include <set>

#include "base/text.hpp"
#include "model/s3_uri.hpp"

namespace trainyard::api::sagemaker {

namespace {

// contract.md B.4
Shape s3_uri() {
  Shape shape = text(0, 1024).matching("(https|s3)://([^/]+)/?(.*)");
  shape.local_path_help =
      " (local paths are not visible to training instances; upload the data first, for example: "
      "aws s3 mb s3://<bucket> ; aws s3 cp --recursive <local path> s3://<bucket>/<prefix>/ , and "
      "pass s3://<bucket>/<prefix>/)";
  return shape;
}

Shape channel() {
  Shape s3_source = structure({
      {"S3DataType", one_of({"ManifestFile", "S3Prefix", "AugmentedManifestFile", "Converse"}),
       kRequired},
      {"S3Uri", s3_uri(), kRequired},
      {"S3DataDistributionType", one_of({"FullyReplicated", "ShardedByS3Key"})},
      {"AttributeNames", list(text(1, 256), 0, 16)},
      {"InstanceGroupNames", list(text(1, 64), 0, 5)},
  });
  return structure({
      {"ChannelName", text(1, 64).matching("[A-Za-z0-9\\.\\-_]+"), kRequired},
      {"DataSource",
       structure({{"S3DataSource", std::move(s3_source)}, {"FileSystemDataSource", anything()}}),
       kRequired},
      {"ContentType", text(0, 256)},
      {"CompressionType", one_of({"None", "Gzip"})},
      {"RecordWrapperType", one_of({"None", "RecordIO"})},
      {"InputMode", one_of({"Pipe", "File", "FastFile"})},
      {"ShuffleConfig", structure({{"Seed", integer(INT64_MIN), kRequired}})},
  });
}

Shape algorithm() {
  return structure({
      {"TrainingImage", text(0, 255)},
      {"AlgorithmName", text(1, 170)},
      {"TrainingInputMode", one_of({"Pipe", "File", "FastFile"}), kRequired},
      {"MetricDefinitions",
       list(structure({{"Name", text(1, 255), kRequired}, {"Regex", text(1, 500), kRequired}}), 0,
            40)},
      {"EnableSageMakerMetricsTimeSeries", flag()},
      {"ContainerEntrypoint", list(text(0, 256), 1, 100)},
      {"ContainerArguments", list(text(0, 256), 1, 100)},
  });
}

Shape resources() {
  return structure({
      {"InstanceType",
       text(0, 64).matching("ml\\.[a-z][a-z0-9-]*\\.(nano|micro|small|medium|large|[0-9]*xlarge|"
                            "metal[a-z0-9-]*)")},
      {"InstanceCount", integer(0)},
      {"VolumeSizeInGB", integer(0)},
      {"VolumeKmsKeyId", text(0, 2048)},
      {"KeepAlivePeriodInSeconds", integer(0, 21600)},
      {"InstanceGroups", list(anything(), 0, 5)},
      {"TrainingPlanArn", text(50, 2048)},
  });
}

const json::object& member(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::object* found = json::find_object(object, name);
  return found == nullptr ? kEmpty : *found;
}

aws::Fault invalid(std::string message) {
  return {"ValidationException", std::move(message)};
}

std::optional<aws::Fault> check_channel(const json::object& channel, std::string_view job_mode) {
  std::string name = json::find_string(channel, "ChannelName").value_or("");
  // The pattern lets them pass; as folders they are others.
  if (name == "." || name == "..") return invalid("'" + name + "' cannot be a channel's name");
  const json::object& source = member(channel, "DataSource");
  const json::object* s3 = json::find_object(source, "S3DataSource");
  if (s3 == nullptr) {
    return invalid(
        fmt::format("Channel '{}' has no S3DataSource; FileSystemDataSource is not "
                    "supported",
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
  if (type != "S3Prefix") {
    return invalid(fmt::format("S3DataType {} of channel '{}' is not supported", type, name));
  }
  if (mode == "Pipe") {
    return invalid(fmt::format("Input mode Pipe of channel '{}' is not supported; use File", name));
  }
  if (!S3Uri::parse(*json::find_string(*s3, "S3Uri"))) {
    return invalid(fmt::format("S3Uri '{}' of channel '{}' is not of the form s3://bucket/prefix",
                               *json::find_string(*s3, "S3Uri"), name));
  }
  return std::nullopt;
}

std::optional<aws::Fault> check_time_limits(const json::object& request) {
  const json::object& stopping = member(request, "StoppingCondition");
  auto max_wait = json::find_integer(stopping, "MaxWaitTimeInSeconds");
  bool is_spot = json::find_bool(request, "EnableManagedSpotTraining").value_or(false);
  if (max_wait && !is_spot) {
    return invalid(
        "Invalid MaxWaitTimeInSeconds. It is only supported when "
        "EnableManagedSpotTraining is set to true");
  }
  auto max_runtime = json::find_integer(stopping, "MaxRuntimeInSeconds").value_or(86400);
  if (is_spot && max_wait.value_or(0) < max_runtime) {
    return invalid(
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal "
        "to MaxRuntimeInSeconds");
  }
  return std::nullopt;
}

std::optional<aws::Fault> check_resources(const json::object& request) {
  const json::object& resources = member(request, "ResourceConfig");
  if (json::find(resources, "InstanceGroups") != nullptr) {
    return invalid(
        "ResourceConfig.InstanceGroups is not supported; give InstanceType and "
        "InstanceCount");
  }
  if (json::find(resources, "InstanceType") == nullptr) {
    return invalid(
        "1 validation error detected: Value null at 'resourceConfig.instanceType' "
        "failed to satisfy constraint: Member must not be null");
  }
  auto count = json::find_integer(resources, "InstanceCount").value_or(1);
  if (count != 1) {
    return invalid(
        fmt::format("ResourceConfig.InstanceCount {} is not supported; this service "
                    "runs jobs on one instance",
                    count));
  }
  return std::nullopt;
}

std::vector<std::string> texts(const json::object& object, std::string_view name) {
  return json::find_texts(object, name).value_or(std::vector<std::string>());
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
  channel.shuffle_seed = json::find_integer(member(document, "ShuffleConfig"), "Seed");
  return channel;
}

}  // namespace

const Shape& create_training_job_shape() {
  static const Shape kShape = structure({
      {"TrainingJobName", text(1, 63).matching("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"), kRequired},
      {"HyperParameters", map(text(0, 256), text(0, 2500), 100)},
      {"AlgorithmSpecification", algorithm(), kRequired},
      {"RoleArn",
       text(20, 2048).matching("arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"),
       kRequired},
      {"InputDataConfig", list(channel(), 1, 20)},
      {"OutputDataConfig",
       structure({{"S3OutputPath", s3_uri(), kRequired},
                  {"KmsKeyId", text(0, 2048)},
                  {"CompressionType", one_of({"GZIP", "NONE"})}}),
       kRequired},
      {"ResourceConfig", resources(), kRequired},
      {"StoppingCondition",
       structure({{"MaxRuntimeInSeconds", integer(1, 28 * 86400)},
                  {"MaxWaitTimeInSeconds", integer(1)},
                  {"MaxPendingTimeInSeconds", integer(7200, 2419200)}}),
       kRequired},
      {"Tags",
       list(structure({{"Key", text(1, 128), kRequired}, {"Value", text(0, 256), kRequired}}), 0,
            50)},
      {"CheckpointConfig",
       structure({{"S3Uri", s3_uri(), kRequired}, {"LocalPath", text(0, 4096)}})},
      {"Environment", map(text(0, 512).matching("[a-zA-Z_][a-zA-Z0-9_]*"), text(0, 512), 100)},
      {"RetryStrategy", structure({{"MaximumRetryAttempts", integer(1, 30), kRequired}})},
      {"EnableNetworkIsolation", flag()},
      {"EnableInterContainerTrafficEncryption", flag()},
      {"EnableManagedSpotTraining", flag()},
  });
  return kShape;
}

std::optional<aws::Fault> check_rules(const json::object& request) {
  if (auto fault = check_time_limits(request)) return fault;
  if (auto fault = check_resources(request)) return fault;
  const json::object& algorithm = member(request, "AlgorithmSpecification");
  if (json::find_string(algorithm, "TrainingImage").value_or("").empty()) {
    return invalid(
        "AlgorithmSpecification.TrainingImage is required; AlgorithmName is not "
        "supported");
  }
  std::string mode = *json::find_string(algorithm, "TrainingInputMode");
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
  std::string output = *json::find_string(member(request, "OutputDataConfig"), "S3OutputPath");
  if (!S3Uri::parse(output)) {
    return invalid(fmt::format("S3OutputPath '{}' is not of the form s3://bucket/prefix", output));
  }
  return std::nullopt;
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
  return assignment;
}

}  // namespace trainyard::api::sagemaker
