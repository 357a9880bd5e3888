// SPDX-License-Identifier: Apache-2.0
#include "engine/fake_engine.hpp"

namespace trainyard::engine {

Result<std::vector<Handle>> FakeEngine::start(const Gang& gang) {
  return state_.with([&](State& state) -> Result<std::vector<Handle>> {
    if (!gang.instances.empty()) state.trace += "start(" + gang.instances[0].job_name + ") ";
    if (state.next_failure) return Failure(*std::exchange(state.next_failure, std::nullopt));
    std::vector<Handle> handles;
    for (const protocol::Assignment& one : gang.instances) {
      Handle handle{fmt::format("{}/{}/{}", one.job_name, one.attempt, one.host)};
      Instance& instance = state.instances[handle.text];
      instance.found = {one.job_name, one.attempt, one.host, handle};
      instance.is_running = true;
      handles.push_back(std::move(handle));
    }
    return handles;
  });
}

Result<Inspection> FakeEngine::inspect(const Handle& handle) {
  return state_.with([&](State& state) -> Result<Inspection> {
    auto found = state.instances.find(handle.text);
    bool is_running = found != state.instances.end() && found->second.is_running;
    return Inspection{is_running ? InstanceState::running : InstanceState::gone};
  });
}

Result<> FakeEngine::stop(const Handle& handle) {
  state_.with([&](State& state) {
    state.trace += "stop(" + handle.text + ") ";
    auto found = state.instances.find(handle.text);
    if (state.obeys_stops && found != state.instances.end()) found->second.is_running = false;
  });
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

void FakeEngine::obey_stops() {
  state_.with([](State& state) { state.obeys_stops = true; });
}

void FakeEngine::fail_next_start(Error error) {
  state_.with([&](State& state) { state.next_failure = std::move(error); });
}

void FakeEngine::lose(const std::string& job, const std::string& host) {
  state_.with([&](State& state) {
    for (auto& [text, instance] : state.instances) {
      bool is_meant = host.empty() || instance.found.host == host;
      if (instance.found.job_name == job && is_meant) instance.is_running = false;
    }
  });
}

std::string FakeEngine::trace() const {
  return state_.with([](const State& state) { return state.trace; });
}

}  // namespace trainyard::engine
