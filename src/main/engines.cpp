// SPDX-License-Identifier: Apache-2.0
#include "main/engines.hpp"

#include <fnmatch.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/log.hpp"
#include "docker/client.hpp"
#include "engine/docker_engine.hpp"
#include "environments/environment.hpp"
#include "main/serve.hpp"

namespace trainyard {

namespace {

constexpr const char* kDefaultSocket = "/var/run/docker.sock";

bool fits(const std::string& pattern, const std::string& text) {
  return pattern.empty() || ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

// Whether a managed environment stands for the image.
bool is_managed(const fs::path& environments_file, const std::string& image) {
  auto uri = environments::ImageUri::parse(image);
  if (!uri) return false;
  auto catalogue =
      environments::Catalogue::load(environments_file, environments::find_interpreters());
  return catalogue && catalogue->resolve(*uri).has_value();
}

// Where the daemon is; "" where none is to be used.
std::string docker_url(const std::string& setting) {
  if (setting == "off") return "";
  if (setting != "auto") return setting;
  if (const char* host = std::getenv("DOCKER_HOST")) return host;
  std::error_code error;
  return fs::exists(kDefaultSocket, error) ? std::string("unix://") + kDefaultSocket : "";
}

void warn_about_network(engine::LocalEngine& engine) {
  auto chosen = engine.network_choice();
  if (!chosen) {
    log::warn("jobs will fail: they are to have a network of their own",
              {{"why", chosen.error().message}});
  } else if (!chosen->why_not.empty()) {
    log::warn("JOBS SHARE THIS MACHINE'S NETWORK, its loopback too", {{"why", chosen->why_not}});
  }
}

// An agent shows its files to containers, and its address: it has to be on the daemon's machine.
Result<> check_daemon(const docker::Host& host) {
  auto client = TRY(docker::Client::connect(host));
  log::info("Docker", {{"version", client.version().version}, {"api", client.version().api}});
  if (!host.unix_socket.empty()) return {};
  std::array<char, 256> own{};
  ::gethostname(own.data(), own.size() - 1);
  std::string name = TRY(client.info()).name;
  if (name == own.data()) return {};
  return fail(Code::invalid,
              "this daemon runs on the machine '{}', and this is '{}': containers see the files of "
              "their own machine only; run a trainyard there",
              name, own.data());
}

}  // namespace

std::string choose_engine(const std::vector<EngineRule>& rules,
                          const protocol::Assignment& assignment, bool is_managed,
                          bool has_docker) {
  if (!assignment.engine.empty()) return assignment.engine;
  for (const EngineRule& rule : rules) {
    bool is_right = fits(rule.instance_type, protocol::instance_type_of(assignment)) &&
                    fits(rule.image, assignment.image);
    if (is_right) return rule.engine;
  }
  return is_managed || !has_docker ? "local" : "docker";
}

Result<std::unique_ptr<engine::RoutedEngine>> make_engines(const ServeOptions& options,
                                                           const fs::path& data_dir,
                                                           engine::LocalEngineOptions local) {
  std::vector<std::unique_ptr<engine::Engine>> engines;
  auto here = std::make_unique<engine::LocalEngine>(local);
  warn_about_network(*here);
  engines.push_back(std::move(here));
  bool is_asked = options.docker != "auto" && options.docker != "off";
  std::string url = docker_url(options.docker);
  bool has_docker = false;
  if (!url.empty()) {
    engine::LocalEngineOptions docker = local;
    docker.jobs_dir = data_dir / "containers";
    docker.host.container.docker = url;
    docker.host.container.tls_dir = options.docker_tls;
    docker.host.container.shm_bytes = options.docker_shm_mib << 20;
    docker.host.container.gpus = options.docker_gpus;
    docker.host.container.service =
        TRY(engine::load_or_make_service_name(data_dir / "docker-service"));
    auto host = docker::parse_host(url, options.docker_tls);
    auto usable = host ? check_daemon(*host) : Result<>(Failure(host.error()));
    // One that is away may come back; jobs wait for it.
    bool may_come = usable || (is_asked && usable.error().code == Code::unavailable);
    if (!usable) log::warn("Docker cannot be used", {{"why", usable.error().message}});
    if (!may_come && is_asked) return Failure(std::move(usable).error().within("docker"));
    if (may_come) {
      engines.push_back(TRY(engine::DockerEngine::make(std::move(docker))));
      has_docker = true;
    }
  }
  fs::path environments = local.host.environments_file;
  auto choice = [rules = options.engine_rules, environments,
                 has_docker](const protocol::Assignment& assignment) -> Result<std::string> {
    bool is_known = is_managed(environments, assignment.image);
    return choose_engine(rules, assignment, is_known, has_docker);
  };
  return std::make_unique<engine::RoutedEngine>(std::move(engines), choice);
}

}  // namespace trainyard
