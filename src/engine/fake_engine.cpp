// SPDX-License-Identifier: Apache-2.0
#include "engine/fake_engine.hpp"

namespace trainyard::engine {

Result<Handle> FakeEngine::start(const protocol::Assignment& assignment) {
  Handle handle{fmt::format("{}/{}/{}", assignment.job_name, assignment.attempt, assignment.host)};
  return state_.with([&](State& state) -> Result<Handle> {
    state.trace += "start(" + assignment.job_name + ") ";
    if (state.next_failure) return Failure(*std::exchange(state.next_failure, std::nullopt));
    Instance& instance = state.instances[handle.text];
    instance.found = {assignment.job_name, assignment.attempt, assignment.host, handle};
    instance.is_running = true;
    return handle;
  });
}

Result<InstanceState> FakeEngine::inspect(const Handle& handle) {
  return state_.with([&](State& state) -> Result<InstanceState> {
    auto found = state.instances.find(handle.text);
    bool is_running = found != state.instances.end() && found->second.is_running;
    return is_running ? InstanceState::running : InstanceState::gone;
  });
}

Result<> FakeEngine::stop(const Handle& handle) {
  state_.with([&](State& state) { state.trace += "stop(" + handle.text + ") "; });
  return {};
}

Result<> FakeEngine::remove(const Handle& handle) {
  state_.with([&](State& state) {
    state.trace += "remove(" + handle.text + ") ";
    state.instances.erase(handle.text);
  });
  return {};
}

Result<std::vector<Found>> FakeEngine::recover() {
  return state_.with([](State& state) -> Result<std::vector<Found>> {
    std::vector<Found> all;
    for (const auto& [text, instance] : state.instances) all.push_back(instance.found);
    return all;
  });
}

void FakeEngine::fail_next_start(Error error) {
  state_.with([&](State& state) { state.next_failure = std::move(error); });
}

void FakeEngine::lose(const std::string& job) {
  state_.with([&](State& state) {
    for (auto& [text, instance] : state.instances) {
      if (instance.found.job_name == job) instance.is_running = false;
    }
  });
}

std::string FakeEngine::trace() const {
  return state_.with([](const State& state) { return state.trace; });
}

}  // namespace trainyard::engine
