// SPDX-License-Identifier: Apache-2.0
#include "engine/routed_engine.hpp"

#include "base/check.hpp"

namespace trainyard::engine {

RoutedEngine::RoutedEngine(std::vector<std::unique_ptr<Engine>> engines, Choice choice)
    : engines_(std::move(engines)), choice_(std::move(choice)) {
  CHECK(!engines_.empty(), "there is an engine");
}

Result<Engine*> RoutedEngine::find(const std::string& name) const {
  for (const auto& engine : engines_) {
    if (engine->capabilities().name == name) return engine.get();
  }
  return fail(Code::unavailable, "the engine '{}' is not there", name);
}

Handle RoutedEngine::outer(const Engine& engine, const Handle& handle) const {
  if (&engine == engines_.front().get()) return handle;
  return Handle{engine.capabilities().name + ":" + handle.text};
}

Result<RoutedEngine::Routed> RoutedEngine::route(const Handle& handle) const {
  size_t colon = handle.text.find(':');
  std::string name = handle.text.substr(0, colon);
  bool is_named = colon != std::string::npos && name.find('/') == std::string::npos;
  if (!is_named) return Routed{engines_.front().get(), handle};
  Engine* engine = TRY(find(name));
  return Routed{engine, Handle{handle.text.substr(colon + 1)}};
}

void RoutedEngine::remember(const Found& found) {
  places_.with([&](auto& places) { places[found.handle.text] = {found.job_name, found.attempt}; });
}

Result<Engine*> RoutedEngine::choose(const Gang& gang) const {
  const protocol::Assignment& first = gang.instances.front();
  std::string known = places_.with([&](const auto& places) {
    for (const auto& [handle, place] : places) {
      if (place.job == first.job_name && place.attempt == first.attempt) return handle;
    }
    return std::string();
  });
  if (!known.empty()) return TRY(route(Handle{known})).engine;
  return find(TRY(choice_(first)));
}

Result<std::vector<Handle>> RoutedEngine::start(const Gang& gang) {
  if (gang.instances.empty()) return std::vector<Handle>();
  Engine* engine = TRY(choose(gang));
  auto handles = TRY(engine->start(gang));
  for (size_t i = 0; i < handles.size(); ++i) {
    const protocol::Assignment& one = gang.instances[i];
    handles[i] = outer(*engine, handles[i]);
    remember({one.job_name, one.attempt, one.host, handles[i]});
  }
  return handles;
}

Result<Inspection> RoutedEngine::inspect(const Handle& handle) {
  Routed routed = TRY(route(handle));
  return routed.engine->inspect(routed.handle);
}

Result<> RoutedEngine::stop(const Handle& handle) {
  Routed routed = TRY(route(handle));
  return routed.engine->stop(routed.handle);
}

Result<> RoutedEngine::remove(const Handle& handle) {
  Routed routed = TRY(route(handle));
  TRY(routed.engine->remove(routed.handle));
  places_.with([&](auto& places) { places.erase(handle.text); });
  return {};
}

Result<std::vector<Found>> RoutedEngine::recover() {
  std::vector<Found> all;
  for (const auto& engine : engines_) {
    auto found = TRY(engine->recover());
    for (Found& one : found) {
      one.handle = outer(*engine, one.handle);
      remember(one);
      all.push_back(std::move(one));
    }
  }
  return all;
}

}  // namespace trainyard::engine
