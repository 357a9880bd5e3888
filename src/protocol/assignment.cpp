// SPDX-License-Identifier: Apache-2.0
#include "protocol/assignment.hpp"

#include <algorithm>
#include <array>

namespace trainyard::protocol {

namespace {

constexpr std::array<std::string_view, 4> kRecordPolicies = {"report", "fail", "skip-object",
                                                             "ignore"};

// [["epochs","3"],…]: a JSON object would lose the order on its way through other tools.
json::array to_json(const StringPairs& pairs) {
  json::array list;
  for (const auto& [name, value] : pairs) list.push_back(json::array{name, value});
  return list;
}

json::object to_json(const Channel& channel) {
  json::object document{{"name", channel.name},
                        {"s3_uri", channel.s3_uri},
                        {"data_type", api_name(channel.data_type)},
                        {"distribution", api_name(channel.distribution)},
                        {"input_mode", api_name(channel.input_mode)},
                        {"content_type", channel.content_type},
                        {"is_gzip", channel.is_gzip},
                        {"is_record_io", channel.is_record_io},
                        {"attribute_names", json::to_array(channel.attribute_names)},
                        {"instance_groups", json::to_array(channel.instance_groups)}};
  if (channel.shuffle_seed) document["shuffle_seed"] = *channel.shuffle_seed;
  return document;
}

json::object to_json(const InstanceGroup& group) {
  return {{"name", group.name},
          {"instance_type", group.instance_type},
          {"hosts", json::to_array(group.hosts)}};
}

json::object to_json(const ServerAccess& server) {
  json::array remotes;
  for (const RemoteS3& remote : server.remotes) remotes.push_back(to_json(remote));
  return {{"endpoint", server.endpoint},           {"region", server.region},
          {"access_key", server.access_key},       {"secret_key", server.secret_key},
          {"session_token", server.session_token}, {"report_token", server.report_token},
          {"remotes", std::move(remotes)}};
}

json::object to_json(const ContainerSettings& container) {
  return {{"docker", container.docker},       {"tls_dir", container.tls_dir},
          {"service", container.service},     {"network", container.network},
          {"shm_bytes", container.shm_bytes}, {"gpus", container.gpus}};
}

json::object to_json(const HostSettings& host) {
  return {{"job_dir", host.job_dir},
          {"network_dir", host.network_dir},
          {"environments_dir", host.environments_dir},
          {"environments_file", host.environments_file},
          {"uv", host.uv},
          {"cache_dir", host.cache_dir},
          {"cache_limit_bytes", host.cache_limit_bytes},
          {"record_policy", name(host.record_policy)},
          {"isolation", host.isolation},
          {"memory_limit_bytes", host.memory_limit_bytes},
          {"container", to_json(host.container)},
          {"cpu_limit", host.cpu_limit},
          {"stop_grace_seconds", host.stop_grace_seconds}};
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

Failure bad_member(std::string_view key) {
  return fail(Code::invalid, "member '{}' is missing or has the wrong type", key);
}

Result<bool> get_bool(const json::object& document, std::string_view key) {
  if (auto value = json::find_bool(document, key)) return *value;
  return bad_member(key);
}

Result<std::vector<std::string>> get_texts(const json::object& document, std::string_view key) {
  auto texts = json::find_texts(document, key);
  if (!texts) return bad_member(key);
  return *std::move(texts);
}

Result<StringPairs> get_pairs(const json::object& document, std::string_view key) {
  const json::array* list = json::find_array(document, key);
  if (list == nullptr) return bad_member(key);
  StringPairs pairs;
  for (const json::value& value : *list) {
    const json::array* pair = value.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() ||
        !(*pair)[1].is_string()) {
      return bad_member(key);
    }
    pairs.emplace_back(json::view((*pair)[0].get_string()), json::view((*pair)[1].get_string()));
  }
  return pairs;
}

Result<const json::object*> get_object(const json::object& document, std::string_view key) {
  const json::object* found = json::find_object(document, key);
  if (found == nullptr) return bad_member(key);
  return found;
}

Result<Channel> parse_channel(const json::object& document) {
  Channel channel;
  channel.name = TRY(json::get_string(document, "name"));
  channel.s3_uri = TRY(json::get_string(document, "s3_uri"));
  auto type = parse_data_type(TRY(json::get_string(document, "data_type")));
  auto distribution = parse_distribution(TRY(json::get_string(document, "distribution")));
  auto mode = parse_input_mode(TRY(json::get_string(document, "input_mode")));
  if (!type) return bad_member("data_type");
  if (!distribution) return bad_member("distribution");
  if (!mode) return bad_member("input_mode");
  channel.data_type = *type;
  channel.distribution = *distribution;
  channel.input_mode = *mode;
  channel.content_type = json::find_string(document, "content_type").value_or("");
  channel.is_gzip = TRY(get_bool(document, "is_gzip"));
  channel.is_record_io = TRY(get_bool(document, "is_record_io"));
  channel.shuffle_seed = json::find_integer(document, "shuffle_seed");
  channel.attribute_names =
      json::find_texts(document, "attribute_names").value_or(std::vector<std::string>());
  channel.instance_groups =
      json::find_texts(document, "instance_groups").value_or(std::vector<std::string>());
  return channel;
}

Result<std::vector<InstanceGroup>> parse_groups(const json::object& document) {
  std::vector<InstanceGroup> groups;
  const json::array* list = json::find_array(document, "instance_groups");
  if (list == nullptr) return groups;
  for (const json::value& value : *list) {
    if (!value.is_object()) return bad_member("instance_groups");
    const json::object& entry = value.get_object();
    InstanceGroup group;
    group.name = TRY(json::get_string(entry, "name"));
    group.instance_type = TRY(json::get_string(entry, "instance_type"));
    group.hosts = TRY(get_texts(entry, "hosts"));
    groups.push_back(std::move(group));
  }
  return groups;
}

Result<std::vector<RemoteS3>> parse_remotes(const json::object& document) {
  std::vector<RemoteS3> remotes;
  const json::array* list = json::find_array(document, "remotes");
  if (list == nullptr) return remotes;  // of before there were any
  for (const json::value& value : *list) {
    if (!value.is_object()) return bad_member("remotes");
    remotes.push_back(TRY(parse_remote(value.get_object())));
  }
  return remotes;
}

Result<ServerAccess> parse_server(const json::object& document) {
  ServerAccess server;
  server.endpoint = TRY(json::get_string(document, "endpoint"));
  server.region = TRY(json::get_string(document, "region"));
  server.access_key = TRY(json::get_string(document, "access_key"));
  server.secret_key = TRY(json::get_string(document, "secret_key"));
  server.session_token = TRY(json::get_string(document, "session_token"));
  server.report_token = TRY(json::get_string(document, "report_token"));
  server.remotes = TRY(parse_remotes(document));
  return server;
}

ContainerSettings parse_container(const json::object& document) {
  auto text = [&](std::string_view key) { return json::find_string(document, key).value_or(""); };
  ContainerSettings container;
  container.docker = text("docker");
  container.tls_dir = text("tls_dir");
  container.service = text("service");
  container.network = text("network");
  container.shm_bytes = json::find_integer(document, "shm_bytes").value_or(0);
  container.gpus = text("gpus");
  return container;
}

Result<HostSettings> parse_host(const json::object& document) {
  HostSettings host;
  host.job_dir = TRY(json::get_string(document, "job_dir"));
  host.network_dir = json::find_string(document, "network_dir").value_or("");
  host.environments_dir = TRY(json::get_string(document, "environments_dir"));
  host.environments_file = TRY(json::get_string(document, "environments_file"));
  host.uv = TRY(json::get_string(document, "uv"));
  host.cache_dir = json::find_string(document, "cache_dir").value_or("");
  host.cache_limit_bytes = json::find_integer(document, "cache_limit_bytes").value_or(0);
  host.record_policy =
      parse_record_policy(json::find_string(document, "record_policy").value_or(""))
          .value_or(RecordPolicy::report);
  host.isolation = TRY(json::get_string(document, "isolation"));
  host.memory_limit_bytes = TRY(json::get_integer(document, "memory_limit_bytes"));
  host.stop_grace_seconds = TRY(json::get_integer(document, "stop_grace_seconds"));
  if (const json::value* cpus = json::find(document, "cpu_limit"); cpus && cpus->is_number()) {
    host.cpu_limit = cpus->to_number<double>();
  }
  if (const json::object* container = json::find_object(document, "container")) {
    host.container = parse_container(*container);
  }
  return host;
}

}  // namespace

std::string_view name(RecordPolicy policy) {
  return kRecordPolicies[static_cast<size_t>(policy)];
}

std::optional<RecordPolicy> parse_record_policy(std::string_view name) {
  auto found = std::find(kRecordPolicies.begin(), kRecordPolicies.end(), name);
  if (found == kRecordPolicies.end()) return std::nullopt;
  return static_cast<RecordPolicy>(found - kRecordPolicies.begin());
}

namespace {

json::object to_json(const Resources& resources) {
  return {{"vcpus", resources.vcpus},
          {"memory_bytes", resources.memory_bytes},
          {"gpus", resources.gpus}};
}

Resources parse_resources(const json::object& document) {
  Resources resources;
  const json::object* found = json::find_object(document, "resources");
  if (found == nullptr) return resources;
  const json::value* vcpus = json::find(*found, "vcpus");
  if (vcpus != nullptr && vcpus->is_number()) resources.vcpus = vcpus->to_number<double>();
  resources.memory_bytes = json::find_integer(*found, "memory_bytes").value_or(0);
  resources.gpus = json::find_integer(*found, "gpus").value_or(0);
  return resources;
}

std::optional<std::vector<int64_t>> parse_gpus(const json::object& document) {
  const json::array* list = json::find_array(document, "gpus");
  if (list == nullptr) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const json::value& value : *list) {
    if (value.is_int64()) numbers.push_back(value.get_int64());
  }
  return numbers;
}

}  // namespace

json::object to_json(const Assignment& assignment) {
  json::array channels;
  for (const Channel& channel : assignment.channels) channels.push_back(to_json(channel));
  json::array groups;
  for (const InstanceGroup& group : assignment.instance_groups) groups.push_back(to_json(group));
  json::object document{{"job_name", assignment.job_name},
                        {"job_arn", assignment.job_arn},
                        {"attempt", assignment.attempt},
                        {"host", assignment.host},
                        {"hosts", json::to_array(assignment.hosts)},
                        {"instance_type", assignment.instance_type},
                        {"resources", to_json(assignment.resources)},
                        {"instance_groups", std::move(groups)},
                        {"image", assignment.image},
                        {"entrypoint", json::to_array(assignment.entrypoint)},
                        {"arguments", json::to_array(assignment.arguments)},
                        {"hyperparameters", to_json(assignment.hyperparameters)},
                        {"environment", to_json(assignment.environment)},
                        {"channels", std::move(channels)},
                        {"output_s3_uri", assignment.output_s3_uri},
                        {"is_output_compressed", assignment.is_output_compressed},
                        {"max_runtime_seconds", assignment.max_runtime_seconds},
                        {"is_network_isolated", assignment.is_network_isolated},
                        {"engine", assignment.engine},
                        {"notices", json::to_array(assignment.notices)},
                        {"created_ms", assignment.created_ms},
                        {"is_sharded_by_bytes", assignment.is_sharded_by_bytes},
                        {"server", to_json(assignment.server)},
                        {"host_settings", to_json(assignment.host_settings)}};
  if (assignment.gpus) {
    document["gpus"] = json::array(assignment.gpus->begin(), assignment.gpus->end());
  }
  if (assignment.record_policy) document["record_policy"] = name(*assignment.record_policy);
  if (assignment.checkpoint) {
    document["checkpoint"] = json::object{{"s3_uri", assignment.checkpoint->s3_uri},
                                          {"local_path", assignment.checkpoint->local_path}};
  }
  return document;
}

std::vector<InstanceGroup> groups_of(const Assignment& assignment) {
  if (!assignment.instance_groups.empty()) return assignment.instance_groups;
  return {{"homogeneousCluster", assignment.instance_type, assignment.hosts}};
}

std::string instance_type_of(const Assignment& assignment) {
  for (const InstanceGroup& group : assignment.instance_groups) {
    if (contains(group.hosts, assignment.host)) return group.instance_type;
  }
  return assignment.instance_type;
}

bool is_for_host(const Channel& channel, const Assignment& assignment, const std::string& host) {
  if (channel.instance_groups.empty()) return true;
  return std::any_of(assignment.instance_groups.begin(), assignment.instance_groups.end(),
                     [&](const InstanceGroup& group) {
                       return contains(group.hosts, host) &&
                              contains(channel.instance_groups, group.name);
                     });
}

void keep_channels_of_host(Assignment& assignment) {
  std::erase_if(assignment.channels, [&](const Channel& channel) {
    return !is_for_host(channel, assignment, assignment.host);
  });
}

Result<Assignment> parse_assignment(const json::object& document) {
  Assignment assignment;
  assignment.job_name = TRY(json::get_string(document, "job_name"));
  assignment.job_arn = TRY(json::get_string(document, "job_arn"));
  assignment.attempt = TRY(json::get_integer(document, "attempt"));
  assignment.host = TRY(json::get_string(document, "host"));
  assignment.hosts = TRY(get_texts(document, "hosts"));
  assignment.instance_type = TRY(json::get_string(document, "instance_type"));
  assignment.image = TRY(json::get_string(document, "image"));
  assignment.entrypoint = TRY(get_texts(document, "entrypoint"));
  assignment.arguments = TRY(get_texts(document, "arguments"));
  assignment.hyperparameters = TRY(get_pairs(document, "hyperparameters"));
  assignment.environment = TRY(get_pairs(document, "environment"));
  const json::array* channels = json::find_array(document, "channels");
  if (channels == nullptr) return bad_member("channels");
  for (const json::value& channel : *channels) {
    if (!channel.is_object()) return bad_member("channels");
    assignment.channels.push_back(TRY(parse_channel(channel.get_object())));
  }
  assignment.output_s3_uri = TRY(json::get_string(document, "output_s3_uri"));
  assignment.is_output_compressed = TRY(get_bool(document, "is_output_compressed"));
  if (const json::object* checkpoint = json::find_object(document, "checkpoint")) {
    CheckpointTarget target;
    target.s3_uri = TRY(json::get_string(*checkpoint, "s3_uri"));
    target.local_path = TRY(json::get_string(*checkpoint, "local_path"));
    assignment.checkpoint = std::move(target);
  }
  assignment.max_runtime_seconds = TRY(json::get_integer(document, "max_runtime_seconds"));
  assignment.is_network_isolated = TRY(get_bool(document, "is_network_isolated"));
  // Members that came later: a job that an older program stored lacks them.
  assignment.instance_groups = TRY(parse_groups(document));
  assignment.resources = parse_resources(document);
  assignment.gpus = parse_gpus(document);
  assignment.engine = json::find_string(document, "engine").value_or("");
  assignment.notices = json::find_texts(document, "notices").value_or(std::vector<std::string>());
  assignment.created_ms = TRY(json::get_integer(document, "created_ms"));
  assignment.record_policy =
      parse_record_policy(json::find_string(document, "record_policy").value_or(""));
  assignment.is_sharded_by_bytes = json::find_bool(document, "is_sharded_by_bytes").value_or(false);
  assignment.server = TRY(parse_server(*TRY(get_object(document, "server"))));
  assignment.host_settings = TRY(parse_host(*TRY(get_object(document, "host_settings"))));
  return assignment;
}

}  // namespace trainyard::protocol
