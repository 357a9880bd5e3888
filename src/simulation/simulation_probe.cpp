// SPDX-License-Identifier: Apache-2.0
// simulation_probe FOLDER INSTANCES LINES_PER_SECOND: that many instances at once, in jobs of 100,
// for two minutes of virtual time after they came up. One line of JSON: what they cost the server.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "base/json.hpp"
#include "simulation/simulation.hpp"

namespace {

int64_t memory_now() {
  auto text = trainyard::read_file("/proc/self/statm").value_or("0 0");
  return std::strtoll(text.c_str() + text.find(' '), nullptr, 10) * 4096;
}

double per_second(int64_t count, std::chrono::nanoseconds time) {
  return static_cast<double>(count) / std::max(std::chrono::duration<double>(time).count(), 1e-9);
}

}  // namespace

int main(int count, char** arguments) {
  using namespace trainyard;
  using namespace trainyard::simulation;
  if (count != 4) {
    std::fprintf(stderr, "usage: simulation_probe FOLDER INSTANCES LINES_PER_SECOND\n");
    return 2;
  }
  auto instances = static_cast<size_t>(std::atoll(arguments[2]));
  constexpr size_t kGang = 100;
  scheduler::SchedulerOptions options;
  options.capacity.jobs = instances;
  Simulation world(arguments[1], options);
  int64_t before = memory_now();
  for (size_t i = 0; i * kGang < instances; ++i) {
    JobPlan plan;
    plan.name = fmt::format("job-{}", i);
    plan.instances = std::min(kGang, instances - i * kGang);
    plan.run = std::chrono::hours(10);
    plan.lines_per_second = std::atof(arguments[3]);
    world.create(plan);
  }
  world.run(std::chrono::minutes(3));  // booted, downloaded, met
  Counts up = world.counts();
  world.run(std::chrono::minutes(2));
  Counts end = world.counts();
  auto reporting = end.reporting - up.reporting;
  auto looking = end.looking - up.looking;
  int64_t looks = end.looks - up.looks;
  json::object line{
      {"instances", end.most_instances},
      {"start_seconds", std::chrono::duration<double>(up.reporting + up.looking).count()},
      {"reports_per_second", per_second(end.reports - up.reports, reporting)},
      {"lines_per_second", per_second(end.lines - up.lines, reporting)},
      {"look_ms", std::chrono::duration<double, std::milli>(looking).count() /
                      static_cast<double>(std::max<int64_t>(looks, 1))},
      {"memory_bytes_per_instance",
       (memory_now() - before) / static_cast<int64_t>(std::max<size_t>(instances, 1))},
      // Of two minutes: what part of one core the service needs for them.
      {"cores", std::chrono::duration<double>(reporting + looking).count() / 120}};
  std::printf("%s\n", json::serialize(line).c_str());
  return 0;
}
