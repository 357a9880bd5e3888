// SPDX-License-Identifier: Apache-2.0
// An engine whose instances are entries in a table: the simulation plays their agents.
#pragma once

#include <map>
#include <vector>

#include "engine/engine.hpp"

namespace trainyard::simulation {

// Used by one thread.
class PaperEngine : public engine::Engine {
 public:
  engine::Capabilities capabilities() const override { return {"paper"}; }
  Result<std::vector<engine::Handle>> start(const engine::Gang& gang) override;
  Result<engine::Inspection> inspect(const engine::Handle& handle) override;
  Result<> stop(const engine::Handle& handle) override;
  Result<> remove(const engine::Handle& handle) override;
  Result<std::vector<engine::Found>> recover() override;

  // The machine under the instance is gone, and a new one cannot be had.
  void lose(const std::string& handle);
  bool is_running(const std::string& handle) const;
  // Instances that start() made since the last call, with what they were told.
  std::vector<protocol::Assignment> take_started();
  size_t size() const { return instances_.size(); }

  static std::string handle_of(const protocol::Assignment& assignment);

 private:
  struct Instance {
    engine::Found found;
    bool is_lost = false;
  };
  std::map<std::string, Instance> instances_;  // by handle
  std::vector<protocol::Assignment> started_;
};

}  // namespace trainyard::simulation
