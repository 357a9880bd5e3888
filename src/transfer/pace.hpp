// SPDX-License-Identifier: Apache-2.0
// How many requests to have under way at once: one more as long as that brings more through, half
// as many when the server says that it is too much. Thread-safe. Internal to transfer/.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/guarded.hpp"

namespace trainyard::transfer {

class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Pace(size_t first, size_t most) : most_(most) {
    state_.with([&](State& state) { state.limit = first; });
  }

  // `amount` more came through, in any unit; returns how many may be under way now.
  size_t add(uint64_t amount, Time now);
  size_t limit() const;
  void raise_to(size_t limit);  // once
  void slow_down();             // 503 and its kin

 private:
  struct State {
    size_t limit = 1;
    size_t before = 0;  // the limit before the step that is being tried; 0: none is
    double rate = 0;    // with that limit
    uint64_t amount = 0;
    Time since{};
    bool is_raised = false;
    int rest = 0;  // intervals until the next step is tried
  };
  void end_interval(State& state, double rate) const;

  size_t most_;
  Guarded<State> state_;
};

}  // namespace trainyard::transfer
