// SPDX-License-Identifier: Apache-2.0
// The daemon's answers as values. They come from outside: whatever is missing is empty.
#include "base/text.hpp"
#include "docker/client.hpp"

namespace trainyard::docker {

namespace {

// Minor numbers of API version 1. 1.40 (Docker 19.03) brought device requests; 1.45 is the newest
// whose changes were read.
constexpr uint64_t kOldest = 40;
constexpr uint64_t kNewest = 45;

std::optional<uint64_t> minor_of(const std::string& version) {
  constexpr std::string_view kMajor = "1.";
  if (!version.starts_with(kMajor)) return std::nullopt;
  return parse_unsigned(std::string_view(version).substr(kMajor.size()));
}

std::string text_of(const json::object& object, std::string_view key) {
  return json::find_string(object, key).value_or("");
}

}  // namespace

Result<Version> choose_version(const json::object& answer) {
  Version version;
  version.engine = "Docker Engine";
  version.version = text_of(answer, "Version");
  const json::array* components = json::find_array(answer, "Components");
  if (components != nullptr && !components->empty() && components->front().is_object()) {
    version.engine = text_of(components->front().get_object(), "Name");
  }
  if (version.engine.starts_with("Podman")) {
    return fail(Code::invalid,
                "this is Podman {}: its socket differs from Docker's in how it keeps output and "
                "networks, and is not supported; name a socket of Docker Engine",
                version.version);
  }
  auto newest = minor_of(text_of(answer, "ApiVersion"));
  auto oldest = minor_of(text_of(answer, "MinAPIVersion"));
  if (!newest || *newest < kOldest) {
    return fail(Code::invalid, "Docker {} is too old: 19.03 or later is needed", version.version);
  }
  uint64_t spoken = std::max(std::min(*newest, kNewest), oldest.value_or(0));
  version.api = fmt::format("1.{}", spoken);
  return version;
}

HostFacts parse_info(const json::object& answer) {
  HostFacts info;
  info.name = text_of(answer, "Name");
  auto options = json::find_texts(answer, "SecurityOptions");
  for (const std::string& option : options.value_or(std::vector<std::string>())) {
    info.is_rootless |= option.find("name=rootless") != std::string::npos;
  }
  return info;
}

Image parse_image(const json::object& answer) {
  Image image;
  image.id = text_of(answer, "Id");
  image.architecture = text_of(answer, "Architecture");
  const json::object* config = json::find_object(answer, "Config");
  if (config == nullptr) return image;
  image.user = text_of(*config, "User");
  image.working_dir = text_of(*config, "WorkingDir");
  using Texts = std::vector<std::string>;
  image.entrypoint = json::find_texts(*config, "Entrypoint").value_or(Texts());
  image.command = json::find_texts(*config, "Cmd").value_or(Texts());
  image.variables = json::find_texts(*config, "Env").value_or(Texts());
  if (const json::object* volumes = json::find_object(*config, "Volumes")) {
    for (const auto& member : *volumes) image.volumes.emplace_back(member.key());
  }
  return image;
}

Container parse_container(const json::object& answer) {
  Container container;
  container.id = text_of(answer, "Id");
  const json::object* state = json::find_object(answer, "State");
  if (state == nullptr) return container;
  std::string status = text_of(*state, "Status");
  bool is_ended = status == "exited" || status == "dead" || status == "removing";
  container.status = status == "created" ? ContainerStatus::created
                     : is_ended          ? ContainerStatus::ended
                                         : ContainerStatus::running;
  container.exit_code = static_cast<int>(json::find_integer(*state, "ExitCode").value_or(0));
  container.is_killed_for_memory = json::find_bool(*state, "OOMKilled").value_or(false);
  container.error = text_of(*state, "Error");
  container.pid = json::find_integer(*state, "Pid").value_or(0);
  return container;
}

Network parse_network(const json::object& answer) {
  Network network;
  network.id = text_of(answer, "Id");
  const json::object* plan = json::find_object(answer, "IPAM");
  const json::array* pools = plan == nullptr ? nullptr : json::find_array(*plan, "Config");
  if (pools == nullptr) return network;
  for (const json::value& entry : *pools) {
    if (!entry.is_object()) continue;
    std::string gateway = text_of(entry.get_object(), "Gateway");
    bool is_ipv4 = gateway.find(':') == std::string::npos;
    if (gateway.empty() || !is_ipv4 || !network.gateway.empty()) continue;
    network.gateway = gateway;
    network.subnet = text_of(entry.get_object(), "Subnet");
  }
  return network;
}

}  // namespace trainyard::docker
