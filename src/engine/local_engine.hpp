// SPDX-License-Identifier: Apache-2.0
// Instances as processes of this machine: each is a `trainyard agent` in a session of its own, with
// a folder <jobs dir>/<job>/<attempt>/<host>. The folder is the truth: it holds the assignment and
// the agent's process id, so that a restarted server finds everything again.
#pragma once

#include "base/file.hpp"
#include "engine/engine.hpp"
#include "engine/job_networks.hpp"

namespace trainyard::engine {

struct LocalEngineOptions {
  fs::path jobs_dir;
  fs::path program;                  // of this very trainyard
  protocol::HostSettings host;       // what every instance gets; job_dir, network_dir are filled in
  std::string job_network = "host";  // see JobNetworks
};

class LocalEngine : public Engine {
 public:
  explicit LocalEngine(LocalEngineOptions options)
      : options_(std::move(options)), networks_(options_.job_network, options_.host.isolation) {}

  Capabilities capabilities() const override { return {"local"}; }
  Result<std::vector<Handle>> start(const Gang& gang) override;
  Result<Inspection> inspect(const Handle& handle) override;
  Result<> stop(const Handle& handle) override;
  Result<> remove(const Handle& handle) override;
  Result<std::vector<Found>> recover() override;

  // The network that jobs get; tried at the first call.
  Result<NetworkChoice> network_choice() { return networks_.choice(); }

 private:
  Result<fs::path> provide_network(const Gang& gang);
  Result<Handle> start_one(const protocol::Assignment& assignment, const fs::path& network);

  LocalEngineOptions options_;
  JobNetworks networks_;
};

}  // namespace trainyard::engine
