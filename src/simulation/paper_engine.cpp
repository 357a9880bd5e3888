// SPDX-License-Identifier: Apache-2.0
#include "simulation/paper_engine.hpp"

#include <utility>

namespace trainyard::simulation {

std::string PaperEngine::handle_of(const protocol::Assignment& assignment) {
  return fmt::format("{}/{}/{}", assignment.job_name, assignment.attempt, assignment.host);
}

Result<std::vector<engine::Handle>> PaperEngine::start(const engine::Gang& gang) {
  std::vector<engine::Handle> handles;
  for (const protocol::Assignment& one : gang.instances) {
    std::string handle = handle_of(one);
    auto found = instances_.find(handle);
    if (found != instances_.end() && found->second.is_lost) {
      return fail(Code::internal, "{}: its machine is gone", one.host);
    }
    if (found == instances_.end()) {
      instances_[handle] = {{one.job_name, one.attempt, one.host, {handle}}};
      started_.push_back(one);
    }
    handles.push_back({std::move(handle)});
  }
  return handles;
}

Result<engine::Inspection> PaperEngine::inspect(const engine::Handle& handle) {
  bool is_there = is_running(handle.text);
  return engine::Inspection{is_there ? engine::InstanceState::running
                                     : engine::InstanceState::gone};
}

// Agents of the simulation learn of stops by the answers to their reports.
Result<> PaperEngine::stop(const engine::Handle&) {
  return {};
}

Result<> PaperEngine::remove(const engine::Handle& handle) {
  instances_.erase(handle.text);
  return {};
}

Result<std::vector<engine::Found>> PaperEngine::recover() {
  std::vector<engine::Found> all;
  for (const auto& [handle, instance] : instances_) all.push_back(instance.found);
  return all;
}

void PaperEngine::lose(const std::string& handle) {
  auto found = instances_.find(handle);
  if (found != instances_.end()) found->second.is_lost = true;
}

bool PaperEngine::is_running(const std::string& handle) const {
  auto found = instances_.find(handle);
  return found != instances_.end() && !found->second.is_lost;
}

std::vector<protocol::Assignment> PaperEngine::take_started() {
  return std::exchange(started_, {});
}

}  // namespace trainyard::simulation
