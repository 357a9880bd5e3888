// SPDX-License-Identifier: Apache-2.0
#include "transfer/pace.hpp"

#include <algorithm>

namespace trainyard::transfer {

namespace {

constexpr std::chrono::milliseconds kInterval{200};
constexpr double kWorthIt = 1.05;  // data_plane.md 3a
constexpr int kRest = 10;

}  // namespace

size_t Pace::add(uint64_t amount, Time now) {
  return state_.with([&](State& state) {
    if (state.since == Time{}) state.since = now;
    state.amount += amount;
    auto passed = now - state.since;
    if (passed >= kInterval) {
      double rate =
          static_cast<double>(state.amount) / std::chrono::duration<double>(passed).count();
      end_interval(state, rate);
      state.amount = 0;
      state.since = now;
    }
    return state.limit;
  });
}

void Pace::end_interval(State& state, double rate) const {
  if (state.before > 0 && rate < state.rate * kWorthIt) {
    state.limit = state.before;
    state.before = 0;
    state.rest = kRest;
  }
  if (state.rest > 0) {
    --state.rest;
    return;
  }
  state.rate = rate;
  state.before = state.limit;
  state.limit = std::min(most_, state.limit + std::max<size_t>(1, state.limit / 4));
}

size_t Pace::limit() const {
  return state_.with([](const State& state) { return state.limit; });
}

void Pace::raise_to(size_t limit) {
  state_.with([&](State& state) {
    if (!state.is_raised) state.limit = std::min(most_, std::max(state.limit, limit));
    state.is_raised = true;
  });
}

void Pace::slow_down() {
  state_.with([](State& state) {
    state.limit = std::max<size_t>(1, state.limit / 2);
    state.before = 0;
    state.rest = kRest;
  });
}

}  // namespace trainyard::transfer
