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
  Capabilities capabilities() const override { return {"fake"}; }
  Result<std::vector<Handle>> start(const Gang& gang) override;
  Result<Inspection> inspect(const Handle& handle) override;
  Result<> stop(const Handle& handle) override;
  Result<> remove(const Handle& handle) override;
  Result<std::vector<Found>> recover() override;

  // From now on a stop ends the instance, as that of an agent with nothing to do.
  void obey_stops();
  // The next start fails so.
  void fail_next_start(Error error);
  // The agents of the job's instances are lost; of one instance where a host is named.
  void lose(const std::string& job, const std::string& host = {});
  // What was called, in order: "start(a) stop(a/1/algo-1) remove(a/1/algo-1) ".
  std::string trace() const;

 private:
  struct Instance {
    Found found;
    bool is_running = true;
  };
  struct State {
    std::map<std::string, Instance> instances;  // by handle
    std::optional<Error> next_failure;
    bool obeys_stops = false;
    std::string trace;
  };
  Guarded<State> state_;
};

}  // namespace trainyard::engine
