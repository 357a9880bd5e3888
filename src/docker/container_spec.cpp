// SPDX-License-Identifier: Apache-2.0
#include "docker/container_spec.hpp"

#include "base/text.hpp"

namespace trainyard::docker {

namespace {

json::object to_json(const Labels& labels) {
  json::object document;
  for (const auto& [name, value] : labels) document[name] = value;
  return document;
}

json::object to_json(const Mount& mount, const Labels& labels) {
  json::object document{{"Target", mount.target}, {"ReadOnly", mount.is_read_only}};
  if (mount.lower.empty()) {
    document["Type"] = "bind";
    document["Source"] = mount.source;
    // What is mounted inside does not come out, nor the other way round.
    document["BindOptions"] = json::object{{"Propagation", "rprivate"}};
    return document;
  }
  std::string layers =
      fmt::format("lowerdir={},upperdir={},workdir={}", mount.lower, mount.source, mount.work);
  json::object options{{"type", "overlay"}, {"device", "overlay"}, {"o", layers}};
  document["Type"] = "volume";
  document["Source"] = mount.volume;
  document["VolumeOptions"] =
      json::object{{"NoCopy", true},
                   {"Labels", to_json(labels)},
                   {"DriverConfig", json::object{{"Name", "local"}, {"Options", options}}}};
  return document;
}

json::array device_requests(const std::string& gpus) {
  if (gpus.empty()) return {};
  json::object request{{"Capabilities", json::array{json::array{"gpu"}}}};
  if (gpus == "all") {
    request["Count"] = -1;
  } else {
    json::array ids;
    for (std::string_view id : split(gpus, ',')) ids.push_back(json::value(trim(id)));
    request["DeviceIDs"] = std::move(ids);
  }
  return {std::move(request)};
}

// The daemon's defaults may cut logs; those of a job are read to their end. The largest size that
// is a limit only in name.
json::object log_config() {
  return {{"Type", "json-file"},
          {"Config", json::object{{"max-size", "1000t"}, {"max-file", "1"}, {"mode", "blocking"}}}};
}

json::object host_config(const ContainerSpec& spec) {
  json::array mounts;
  for (const Mount& mount : spec.mounts) mounts.push_back(to_json(mount, spec.labels));
  json::object config{{"Mounts", std::move(mounts)},
                      {"Init", true},
                      {"LogConfig", log_config()},
                      {"RestartPolicy", json::object{{"Name", "no"}}}};
  if (!spec.network.empty()) config["NetworkMode"] = spec.network;
  if (spec.memory_bytes > 0) {
    config["Memory"] = spec.memory_bytes;
    config["MemorySwap"] = spec.memory_bytes;  // the sum of both: no swap
  }
  constexpr double kNano = 1e9;
  if (spec.cpus > 0) config["NanoCpus"] = static_cast<int64_t>(spec.cpus * kNano);
  if (spec.shm_bytes > 0) config["ShmSize"] = spec.shm_bytes;
  if (!spec.gpus.empty()) config["DeviceRequests"] = device_requests(spec.gpus);
  return config;
}

}  // namespace

json::object to_json(const ContainerSpec& spec) {
  json::array variables;
  for (const auto& [name, value] : spec.variables) {
    variables.push_back(json::value(name + "=" + value));
  }
  json::object document{{"Image", spec.image},
                        {"Env", std::move(variables)},
                        {"Labels", to_json(spec.labels)},
                        {"HostConfig", host_config(spec)}};
  if (!spec.entrypoint.empty()) document["Entrypoint"] = json::to_array(spec.entrypoint);
  if (!spec.arguments.empty()) document["Cmd"] = json::to_array(spec.arguments);
  if (!spec.user.empty()) document["User"] = spec.user;
  if (!spec.host_name.empty()) document["Hostname"] = spec.host_name;
  if (!spec.network.empty()) {
    json::object endpoint{{"Aliases", json::to_array(spec.aliases)}};
    document["NetworkingConfig"] =
        json::object{{"EndpointsConfig", json::object{{spec.network, std::move(endpoint)}}}};
  }
  return document;
}

bool can_be_layer(std::string_view path) {
  return path.find_first_of(":,\\\"") == std::string_view::npos;
}

}  // namespace trainyard::docker
