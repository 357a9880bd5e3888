// SPDX-License-Identifier: Apache-2.0
// Several engines as one: a rule says which of them runs a job, the handle says which one does. The
// first engine's handles are its own text, so that a service that had no other finds its instances;
// those of the others begin with their name: "docker:/data/…".
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/guarded.hpp"
#include "engine/engine.hpp"

namespace trainyard::engine {

class RoutedEngine : public Engine {
 public:
  // The name of the engine that is to run a job; an error when none can.
  using Choice = std::function<Result<std::string>(const protocol::Assignment&)>;

  // Requires: at least one engine, each with a name of its own.
  RoutedEngine(std::vector<std::unique_ptr<Engine>> engines, Choice choice);

  Capabilities capabilities() const override { return engines_.front()->capabilities(); }
  // A job stays with the engine that has instances of its attempt.
  Result<std::vector<Handle>> start(const Gang& gang) override;
  Result<Inspection> inspect(const Handle& handle) override;
  Result<> stop(const Handle& handle) override;
  Result<> remove(const Handle& handle) override;
  Result<std::vector<Found>> recover() override;

 private:
  struct Routed {
    Engine* engine;
    Handle handle;  // the engine's own
  };
  Result<Routed> route(const Handle& handle) const;
  Result<Engine*> find(const std::string& name) const;
  Handle outer(const Engine& engine, const Handle& handle) const;
  Result<Engine*> choose(const Gang& gang) const;
  void remember(const Found& found);

  // Instances that exist, by their handles.
  struct Place {
    std::string job;
    int64_t attempt = 0;
  };

  std::vector<std::unique_ptr<Engine>> engines_;
  Choice choice_;
  Guarded<std::map<std::string, Place>> places_;
};

}  // namespace trainyard::engine
