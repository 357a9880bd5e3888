// SPDX-License-Identifier: Apache-2.0
#include "agent/container_job.hpp"

#include <algorithm>

#include "agent/channel_folder.hpp"
#include "agent/checkpoints.hpp"

namespace trainyard::agent {

namespace {

const protocol::ContainerSettings& settings_of(const protocol::Assignment& assignment) {
  return assignment.host_settings.container;
}

docker::Labels labels_of(const protocol::Assignment& assignment) {
  return {{docker::kServiceLabel, settings_of(assignment).service},
          {docker::kJobLabel, assignment.job_name},
          {docker::kAttemptLabel, std::to_string(assignment.attempt)},
          {docker::kInstanceLabel, assignment.host}};
}

// contract.md G.4; the request's own come last: they win.
protocol::StringPairs variables_of(const protocol::Assignment& assignment,
                                   const std::string& endpoint) {
  const protocol::ServerAccess& server = assignment.server;
  protocol::StringPairs list = {
      {"TRAINING_JOB_NAME", assignment.job_name},  {"TRAINING_JOB_ARN", assignment.job_arn},
      {"SAGEMAKER_JOB_NAME", assignment.job_name}, {"CURRENT_HOST", assignment.host},
      {"SAGEMAKER_REGION", server.region},         {"AWS_REGION", server.region},
      {"AWS_DEFAULT_REGION", server.region}};
  if (!assignment.is_network_isolated) {
    std::string host = endpoint.substr(endpoint.find("://") + 3);
    list.insert(list.end(), {{"AWS_ACCESS_KEY_ID", server.access_key},
                             {"AWS_SECRET_ACCESS_KEY", server.secret_key},
                             {"AWS_SESSION_TOKEN", server.session_token},
                             {"AWS_ENDPOINT_URL", endpoint},
                             {"AWS_ENDPOINT_URL_S3", endpoint},
                             {"S3_ENDPOINT_URL", endpoint},
                             {"S3_ENDPOINT", host},
                             {"S3_REGION", server.region},
                             {"S3_USE_HTTPS", endpoint.starts_with("https") ? "1" : "0"},
                             {"S3_VERIFY_SSL", "0"}});
  }
  for (const auto& pair : assignment.environment) {
    std::erase_if(list, [&](const auto& other) { return other.first == pair.first; });
    list.push_back(pair);
  }
  return list;
}

// Of /opt/ml only the parts that the platform owns: what the image has at /opt/ml/code stays.
std::vector<docker::Mount> mounts_of(const Context& context) {
  std::vector<docker::Mount> mounts = {{context.ml / "input", "/opt/ml/input"},
                                       {context.ml / "model", "/opt/ml/model"},
                                       {context.ml / "output", "/opt/ml/output"}};
  if (context.assignment.checkpoint) {
    std::string shown = Checkpoints::shown_path(context);
    bool is_inside = std::any_of(mounts.begin(), mounts.end(), [&](const docker::Mount& mount) {
      return shown == mount.target || shown.starts_with(mount.target + "/");
    });
    if (!is_inside) mounts.push_back({Checkpoints::folder_of(context), shown});
  }
  for (const Channel& channel : context.assignment.channels) {
    ChannelFolder folder(context, channel.name);
    if (!folder.is_shown_from_view()) continue;
    if (!folder.is_writable()) {
      mounts.push_back({folder.view(), folder.shown_as(), true});
      continue;
    }
    sandbox::Overlay overlay = folder.overlay(0);
    mounts.push_back({overlay.upper, folder.shown_as(), false, overlay.lower, overlay.work,
                      container_name(context.assignment) + "." + channel.name});
  }
  return mounts;
}

}  // namespace

std::string container_name(const protocol::Assignment& assignment) {
  return fmt::format("trainyard-{}-{}-{}-{}", settings_of(assignment).service, assignment.job_name,
                     assignment.attempt, assignment.host);
}

Result<docker::Host> docker_host(const protocol::Assignment& assignment) {
  const protocol::ContainerSettings& settings = settings_of(assignment);
  return docker::parse_host(settings.docker, settings.tls_dir);
}

std::vector<std::string> container_command(const protocol::Assignment& assignment,
                                           const docker::Image& image) {
  bool is_replaced = !assignment.entrypoint.empty();
  std::vector<std::string> command = is_replaced ? assignment.entrypoint : image.entrypoint;
  std::vector<std::string> arguments = assignment.arguments;
  if (arguments.empty() && !is_replaced) arguments = {"train"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

docker::ContainerSpec container_spec(const Context& context, const std::string& endpoint,
                                     const std::string& user) {
  const protocol::Assignment& assignment = context.assignment;
  docker::ContainerSpec spec;
  spec.image = assignment.image;
  spec.entrypoint = assignment.entrypoint;
  spec.arguments = assignment.arguments;
  // contract.md G.1
  if (spec.entrypoint.empty() && spec.arguments.empty()) spec.arguments = {"train"};
  spec.variables = variables_of(assignment, endpoint);
  spec.labels = labels_of(assignment);
  spec.user = user;
  spec.host_name = assignment.host;
  spec.network = settings_of(assignment).network;
  spec.aliases = {assignment.host};
  spec.mounts = mounts_of(context);
  spec.memory_bytes = assignment.host_settings.memory_limit_bytes;
  spec.cpus = assignment.host_settings.cpu_limit;
  spec.shm_bytes = settings_of(assignment).shm_bytes;
  spec.gpus = settings_of(assignment).gpus;
  return spec;
}

Result<> open_folders(const Context& context) {
  std::vector<fs::path> folders = {context.ml / "input", context.ml / "input/data",
                                   context.ml / "model", context.ml / "output",
                                   context.ml / "output/data"};
  if (context.assignment.checkpoint) folders.push_back(Checkpoints::folder_of(context));
  for (const Channel& channel : context.assignment.channels) {
    ChannelFolder folder(context, channel.name);
    if (folder.is_writable()) folders.push_back(folder.overlay(0).upper);
    if (!folder.is_shown_from_view()) folders.push_back(folder.in_ml());
  }
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (!fs::exists(folder, error)) continue;
    fs::permissions(folder, fs::perms::all, error);
    if (error) return fail_errno(error.value(), "opening " + folder.string());
  }
  return {};
}

}  // namespace trainyard::agent
