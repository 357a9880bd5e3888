// SPDX-License-Identifier: Apache-2.0
// Which of the jobs that wait are to start now, on a host of so much. Pure.
//
// Oldest first. A job for which there is no room lets younger ones pass that fit, but only until it
// has waited for kPatience: from then on what becomes free is kept for it, so that a stream of
// small jobs cannot starve a big one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/resources.hpp"

namespace trainyard::scheduler {

constexpr std::chrono::minutes kPatience{10};

// What the host gives to jobs.
struct Capacity {
  size_t jobs = 0;                      // at once
  std::optional<double> vcpus;          // nullopt: not counted
  std::optional<int64_t> memory_bytes;  // nullopt: not counted
  int64_t gpus = 0;
};

struct Waiting {
  std::string job;
  Resources need;  // of all its instances
  Time since;
};

// A job never needs more than the whole host: it gets that then.
Resources within(const Capacity& capacity, Resources need);

struct Choice {
  std::string job;
  std::string reason;  // why it does not start, for people; empty: it starts
};

// `waiting` oldest first; `running` what each running job was given, in any order. In the order of
// `waiting`.
std::vector<Choice> choose(const Capacity& capacity, const std::vector<Waiting>& waiting,
                           const std::vector<Resources>& running, Time now);

}  // namespace trainyard::scheduler
