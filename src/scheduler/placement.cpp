// SPDX-License-Identifier: Apache-2.0
#include "scheduler/placement.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace trainyard::scheduler {

namespace {

// What is not taken yet.
class Room {
 public:
  Room(const Capacity& capacity, const std::vector<Resources>& running)
      : capacity_(capacity), jobs_(running.size()) {
    for (const Resources& one : running) used_ += one;
  }

  // Why the job has to wait; empty: there is room for it.
  std::string lacks(const Resources& need) const {
    if (jobs_ >= capacity_.jobs) {
      return fmt::format("{} jobs run, the most at once here (max-running-jobs)", capacity_.jobs);
    }
    Resources sum = used_;
    sum += need;
    bool fits = sum.vcpus <= capacity_.vcpus.value_or(sum.vcpus) &&
                sum.memory_bytes <= capacity_.memory_bytes.value_or(sum.memory_bytes) &&
                sum.gpus <= capacity_.gpus;
    return fits ? "" : fmt::format("it needs {}, which others use now", to_text(need));
  }

  void take(const Resources& need) {
    ++jobs_;
    used_ += need;
  }

 private:
  const Capacity& capacity_;
  size_t jobs_;
  Resources used_;
};

}  // namespace

Resources within(const Capacity& capacity, Resources need) {
  need.vcpus = std::min(need.vcpus, capacity.vcpus.value_or(need.vcpus));
  need.memory_bytes =
      std::min(need.memory_bytes, capacity.memory_bytes.value_or(need.memory_bytes));
  need.gpus = std::min(need.gpus, capacity.gpus);
  return need;
}

std::vector<Choice> choose(const Capacity& capacity, const std::vector<Waiting>& waiting,
                           const std::vector<Resources>& running, Time now) {
  Room room(capacity, running);
  std::vector<Choice> choices;
  std::string held_for;  // an older job, that nobody passes any more
  for (const Waiting& one : waiting) {
    Resources need = within(capacity, one.need);
    std::string lacks = room.lacks(need);
    if (lacks.empty() && !held_for.empty()) lacks = fmt::format("{} is older", held_for);
    if (lacks.empty()) {
      room.take(need);
      choices.push_back({one.job, ""});
      continue;
    }
    if (held_for.empty() && now - one.since >= kPatience) held_for = one.job;
    choices.push_back({one.job, "Waiting for capacity: " + lacks});
  }
  return choices;
}

}  // namespace trainyard::scheduler
