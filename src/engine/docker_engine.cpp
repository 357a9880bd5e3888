// SPDX-License-Identifier: Apache-2.0
#include "engine/docker_engine.hpp"

#include <unistd.h>

#include <functional>
#include <set>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "docker/bridge.hpp"
#include "docker/client.hpp"
#include "docker/forwarder.hpp"

namespace trainyard::engine {

namespace {

using docker::Labels;
using docker::Listed;

// The labels of one instance; of the attempt where `host` is empty.
struct Place {
  std::string job;
  std::string attempt;
  std::string host;
};

// <jobs dir>/<job>/<attempt>/<host>
Place place_of(const Handle& handle) {
  fs::path folder = handle.text;
  fs::path attempt = folder.parent_path();
  return {attempt.parent_path().filename(), attempt.filename(), folder.filename()};
}

std::string label(const Listed& listed, const char* name) {
  auto found = listed.labels.find(name);
  return found == listed.labels.end() ? "" : found->second;
}

bool is_of(const Listed& listed, const Place& place) {
  return label(listed, docker::kJobLabel) == place.job &&
         label(listed, docker::kAttemptLabel) == place.attempt &&
         (place.host.empty() || label(listed, docker::kInstanceLabel) == place.host);
}

using Wanted = std::function<bool(const Listed&)>;

Result<> remove_containers(docker::Client& docker, const std::string& service,
                           const Wanted& is_wanted) {
  auto containers = TRY(docker.containers(docker::kServiceLabel, service));
  for (const Listed& container : containers) {
    if (is_wanted(container)) TRY(docker.remove_container(container.id));
  }
  auto volumes = TRY(docker.volumes(docker::kServiceLabel, service));
  for (const Listed& volume : volumes) {
    if (is_wanted(volume)) TRY(docker.remove_volume(volume.id));
  }
  return {};
}

Result<> remove_networks(docker::Client& docker, const std::string& service,
                         const Wanted& is_wanted) {
  auto networks = TRY(docker.networks(docker::kServiceLabel, service));
  for (const Listed& network : networks) {
    if (is_wanted(network)) TRY(docker.remove_network(network.id));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DockerEngine>> DockerEngine::make(DockerEngineOptions options) {
  const protocol::ContainerSettings& container = options.host.container;
  docker::Host host = TRY(docker::parse_host(container.docker, container.tls_dir));
  options.job_network = "elsewhere";
  return std::unique_ptr<DockerEngine>(new DockerEngine(std::move(options), std::move(host)));
}

std::string DockerEngine::network_name(const std::string& job, const std::string& attempt) const {
  return fmt::format("trainyard-{}-{}-{}", options_.host.container.service, job, attempt);
}

Result<> DockerEngine::make_network(const protocol::Assignment& assignment) {
  auto docker = TRY(docker::Client::connect(host_));
  std::string attempt = std::to_string(assignment.attempt);
  std::string name = network_name(assignment.job_name, attempt);
  Labels labels = {{docker::kServiceLabel, options_.host.container.service},
                   {docker::kJobLabel, assignment.job_name},
                   {docker::kAttemptLabel, attempt}};
  bool is_internal = assignment.is_network_isolated;
  auto made = docker.create_network(name, is_internal, labels);
  if (!made && made.error().code == Code::conflict) return {};  // of the first start
  if (!made) return Failure(std::move(made).error());
  if (!is_internal) return {};
  if (auto hidden = docker::hide_host(*made); !hidden) {
    log::warn("an isolated job reaches what listens on all addresses of this host",
              {{"job", assignment.job_name}, {"why", hidden.error().message}});
  }
  return {};
}

Result<std::vector<Handle>> DockerEngine::start(const Gang& gang) {
  if (gang.instances.empty()) return std::vector<Handle>();
  const protocol::Assignment& first = gang.instances.front();
  TRY(make_network(first));
  DockerEngineOptions options = options_;
  std::string attempt = std::to_string(first.attempt);
  options.host.container.network = network_name(first.job_name, attempt);
  auto handles = LocalEngine(options).start(gang);
  std::error_code error;
  bool is_any = fs::exists(options_.jobs_dir / first.job_name / attempt, error);
  if (!handles && !is_any) {
    auto docker = TRY(docker::Client::connect(host_));
    static_cast<void>(docker.remove_network(options.host.container.network));
  }
  return handles;
}

Result<> DockerEngine::remove(const Handle& handle) {
  auto docker = TRY(docker::Client::connect(host_));
  const std::string& service = options_.host.container.service;
  Place place = place_of(handle);
  auto is_own = [&](const Listed& listed) { return is_of(listed, place); };
  // Before the folder, which they have mounted; and once more, for an agent that was about to make
  // one.
  TRY(remove_containers(docker, service, is_own));
  docker::end_forwarder(handle.text);
  TRY(local_.remove(handle));
  TRY(remove_containers(docker, service, is_own));
  std::error_code error;
  fs::path attempt = fs::path(handle.text).parent_path();
  if (fs::exists(attempt, error) && !fs::is_empty(attempt, error)) return {};
  place.host.clear();
  return remove_networks(docker, service, is_own);
}

Result<> DockerEngine::remove_orphans(const std::vector<Found>& found) {
  std::set<std::pair<std::string, std::string>> attempts;
  std::set<std::string> instances;
  for (const Found& one : found) {
    std::string attempt = std::to_string(one.attempt);
    attempts.emplace(one.job_name, attempt);
    instances.insert(fmt::format("{}/{}/{}", one.job_name, attempt, one.host));
  }
  auto docker = TRY(docker::Client::connect(host_));
  const std::string& service = options_.host.container.service;
  TRY(remove_containers(docker, service, [&](const Listed& listed) {
    return !instances.contains(fmt::format("{}/{}/{}", label(listed, docker::kJobLabel),
                                           label(listed, docker::kAttemptLabel),
                                           label(listed, docker::kInstanceLabel)));
  }));
  return remove_networks(docker, service, [&](const Listed& listed) {
    return !attempts.contains(
        {label(listed, docker::kJobLabel), label(listed, docker::kAttemptLabel)});
  });
}

Result<std::vector<Found>> DockerEngine::recover() {
  auto found = TRY(local_.recover());
  if (auto removed = remove_orphans(found); !removed) {
    log::warn("looking for containers that nobody knows", {{"error", removed.error().message}});
  }
  return found;
}

Result<std::string> load_or_make_service_name(const fs::path& file) {
  auto kept = read_file(file, 64);
  if (kept) {
    std::string name(trim(*kept));
    if (from_hex(name) && !name.empty()) return name;
    return fail(Code::invalid, "{} is damaged: it holds no name", file.string());
  }
  if (kept.error().code != Code::not_found) return Failure(std::move(kept).error());
  std::string made = random_hex(6);
  TRY(write_file_atomically(file, made + "\n", 0600));
  return made;
}

}  // namespace trainyard::engine
