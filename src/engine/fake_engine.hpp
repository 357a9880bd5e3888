// SPDX-License-Identifier: Apache-2.0
// An engine without processes, for tests of what stands above engines. Tests end instances by hand.
// Thread-safe.
#pragma once

#include <map>

#include "base/guarded.hpp"
#include "engine/engine.hpp"

namespace trainyard::engine {

class FakeEngine : public Engine {
 public:
  Capabilities capabilities() const override { return {"fake", 0}; }
  Result<Handle> start(const protocol::Assignment& assignment) override;
  Result<InstanceState> inspect(const Handle& handle) override;
  Result<> stop(const Handle& handle) override;
  Result<> remove(const Handle& handle) override;
  Result<std::vector<Found>> recover() override;

  // The next start fails so.
  void fail_next_start(Error error);
  // The instance's agent is lost.
  void lose(const std::string& job);
  // What was called, in order: "start(a) stop(a) remove(a) ".
  std::string trace() const;

 private:
  struct Instance {
    Found found;
    bool is_running = true;
  };
  struct State {
    std::map<std::string, Instance> instances;  // by handle
    std::optional<Error> next_failure;
    std::string trace;
  };
  Guarded<State> state_;
};

}  // namespace trainyard::engine
