// SPDX-License-Identifier: Apache-2.0
// Instances as containers of a Docker daemon on this machine. Each has a `trainyard agent` and a
// folder here, as with the local engine, which looks after both; the agent runs the container. This
// engine adds what is Docker's: a network for each attempt, and the end of containers, volumes and
// networks, which are found again by their labels.
#pragma once

#include "docker/host.hpp"
#include "engine/local_engine.hpp"

namespace trainyard::engine {

// `host.container` says which daemon and whose labels; its network is filled in.
using DockerEngineOptions = LocalEngineOptions;

class DockerEngine : public Engine {
 public:
  // `invalid` for a daemon's address that is none.
  static Result<std::unique_ptr<DockerEngine>> make(DockerEngineOptions options);

  Capabilities capabilities() const override { return {"docker"}; }
  Result<std::vector<Handle>> start(const Gang& gang) override;
  Result<Inspection> inspect(const Handle& handle) override { return local_.inspect(handle); }
  Result<> stop(const Handle& handle) override { return local_.stop(handle); }
  Result<> remove(const Handle& handle) override;
  // Removes what bears this service's label and belongs to no instance that exists.
  Result<std::vector<Found>> recover() override;

 private:
  DockerEngine(DockerEngineOptions options, docker::Host host)
      : options_(options), local_(std::move(options)), host_(std::move(host)) {}
  std::string network_name(const std::string& job, const std::string& attempt) const;
  Result<> make_network(const protocol::Assignment& assignment);
  Result<> remove_orphans(const std::vector<Found>& found);

  DockerEngineOptions options_;
  LocalEngine local_;
  docker::Host host_;
};

// The name by which a service knows its own containers again, made at the first call and kept in
// the file.
Result<std::string> load_or_make_service_name(const fs::path& file);

}  // namespace trainyard::engine
