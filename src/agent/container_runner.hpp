// SPDX-License-Identifier: Apache-2.0
// The image's own program in a container: pulled where it is missing, started as `docker run IMAGE
// train` does, followed to its end whoever dies meanwhile. The container is named after the
// instance and outlives this agent; the engine removes it.
#pragma once

#include <optional>

#include "agent/runner.hpp"
#include "docker/client.hpp"
#include "docker/forwarder.hpp"

namespace trainyard::agent {

class ContainerRunner : public Runner {
 public:
  Result<> find(Context& context) override;
  bool is_at_hand(Context& context) override;
  Result<> make(Context& context) override;
  Result<> install(Context&) override { return {}; }  // the image's own launcher does
  void take_over(Context& context) override;
  Result<Plan> plan(const Context& context) override;
  Result<ChildEnd> run(const Context& context, const ChildPlan& plan) override;
  std::string memory_evidence(const Context& context) override;
  void clean_up(const Context& context) override;

 private:
  // Waits for a daemon that is being started again.
  Result<> connect(const Context& context);
  Result<> pull(Context& context, const docker::Reference& reference);
  // Makes and starts it; one that exists is started where that was not done.
  Result<> start(const Context& context);
  Result<std::string> provide_endpoint(const Context& context);

  std::optional<docker::Client> docker_;
  std::optional<docker::ForwardPlan> forward_;  // once the network was asked for
  docker::Image image_;
  bool is_killed_for_memory_ = false;
};

}  // namespace trainyard::agent
