// SPDX-License-Identifier: Apache-2.0
// A client of Docker's Engine API, of the calls that jobs need.
// https://docs.docker.com/engine/api/v1.41/
//
// Errors: `unavailable` when the daemon does not answer, `not_found` and `conflict` as it says,
// `denied` where this user may not speak to it, `internal` for its own failures; their texts are
// the daemon's. Everything that is removed may be gone already.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "docker/container_spec.hpp"
#include "docker/host.hpp"
#include "docker/reference.hpp"
#include "http/client.hpp"

namespace trainyard::docker {

struct Version {
  std::string engine;   // "Docker Engine", "Podman Engine"
  std::string version;  // "20.10.24"
  std::string api;      // spoken with it: "1.41"
};

struct Image {
  std::string id;
  std::string user;  // "" is root
  std::string working_dir;
  std::string architecture;  // "amd64"
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> variables;  // "NAME=value"
  std::vector<std::string> volumes;    // paths
};

enum class ContainerStatus { created, running, ended };

struct Container {
  std::string id;
  ContainerStatus status = ContainerStatus::created;
  int exit_code = 0;
  bool is_killed_for_memory = false;
  std::string error;  // why it could not start
  int64_t pid = 0;    // of its first process, on the daemon's host; 0: none
};

// What list calls tell of containers, networks and volumes.
struct Listed {
  std::string id;  // of a volume: its name
  Labels labels;
};

struct Network {
  std::string id;
  std::string gateway;  // the host's address there; "" where it has none
  std::string subnet;   // "172.18.0.0/16"
};

struct HostFacts {
  std::string name;          // of the machine that the daemon runs on
  bool is_rootless = false;  // its root is an ordinary user: the daemon's
};

// Not thread-safe: one for each thread.
class Client {
 public:
  // Asks for the daemon's version. `invalid` in words for one that is too old, or that is no
  // Docker.
  static Result<Client> connect(const Host& host);

  const Version& version() const { return version_; }
  Result<HostFacts> info();

  Result<Image> inspect_image(const std::string& image);
  // `auth`: registry_auth.hpp. `on_progress` gets PullProgress::text() now and then.
  Result<> pull(const Reference& image, const std::string& auth,
                const std::function<void(const std::string&)>& on_progress, std::stop_token stop);

  // The container's id. `conflict`: that name is taken.
  Result<std::string> create_container(const std::string& name, const ContainerSpec& spec);
  // One that runs already is fine; one that has ended runs again: ask for its status before.
  Result<> start_container(const std::string& name);
  Result<Container> inspect_container(const std::string& name);
  // One that does not run is fine.
  Result<> signal_container(const std::string& name, const std::string& signal);
  Result<> remove_container(const std::string& name);  // kills it
  // Whether the path exists in its file system; it need not run.
  Result<bool> has_path(const std::string& name, const std::string& path);
  // What it printed, from its first line on, frame by frame; with `is_following` until it ends.
  Result<> read_output(const std::string& name, bool is_following,
                       const std::function<Result<>(std::string_view)>& on_frame,
                       std::stop_token stop);

  // The network's id. `exhausted`: the daemon has no addresses left. An internal one has no way
  // out.
  Result<std::string> create_network(const std::string& name, bool is_internal,
                                     const Labels& labels);
  Result<Network> inspect_network(const std::string& name);
  Result<> remove_network(const std::string& name);
  Result<> remove_volume(const std::string& name);

  // All with this label of this value, running or not.
  Result<std::vector<Listed>> containers(const std::string& label, const std::string& value);
  Result<std::vector<Listed>> networks(const std::string& label, const std::string& value);
  Result<std::vector<Listed>> volumes(const std::string& label, const std::string& value);

 private:
  explicit Client(Host host) : host_(std::move(host)) {}
  http::Call call(const std::string& method, const std::string& path) const;
  // A call whose answer has a good status.
  Result<std::string> ask(const http::Call& call, std::stop_token stop = {});
  Result<std::string> post(const std::string& path, const json::object& body);
  Result<json::object> get(const std::string& path);
  Result<> remove(const std::string& path);

  Host host_;
  http::Client http_;
  Version version_;
};

// Parts of the answers; pure.
Result<Version> choose_version(const json::object& answer);
HostFacts parse_info(const json::object& answer);
Image parse_image(const json::object& answer);
Container parse_container(const json::object& answer);
Network parse_network(const json::object& answer);

}  // namespace trainyard::docker
