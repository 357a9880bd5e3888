// SPDX-License-Identifier: Apache-2.0
// A cluster in virtual time: the service as it is (stores on disk, API, scheduler), and jobs whose
// instances do what their plan says. An event that is due moves the clock; nothing waits.
// Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "api/dispatch.hpp"
#include "base/clock.hpp"
#include "scheduler/scheduler.hpp"
#include "simulation/paper_engine.hpp"

namespace trainyard::simulation {

// What each instance of a job does.
struct JobPlan {
  std::string name;
  size_t instances = 1;
  std::string instance_type = "ml.m5.large";
  std::chrono::milliseconds boot{30'000};      // from start to the first report, up to twice that
  std::chrono::milliseconds download{10'000};  // until it is ready, up to twice that
  std::chrono::milliseconds run{60'000};
  double lines_per_second = 1;  // of its log, while it runs
  int failing_host = 0;         // 2: the script of algo-2 fails halfway; 0: none does
  int lost_host = 0;            // 2: the machine of algo-2 dies halfway; 0: none does
};

struct Counts {
  int64_t reports = 0;
  int64_t events = 0;
  int64_t lines = 0;
  int64_t looks = 0;
  size_t most_instances = 0;  // at once
  // Real time.
  std::chrono::nanoseconds reporting{0};
  std::chrono::nanoseconds looking{0};
};

class Simulation {
 public:
  // Everything is kept below `folder`, which exists.
  Simulation(const fs::path& folder, scheduler::SchedulerOptions options, uint64_t seed = 1);
  ~Simulation();

  void create(const JobPlan& plan);
  // Until nothing is left to happen, or so much virtual time has passed.
  void run(std::chrono::milliseconds limit = std::chrono::hours(24));
  // As after kill -9: stores are opened again, a new scheduler takes over; instances live on.
  void restart_server();

  jobs::JobStore& jobs() { return *jobs_; }
  PaperEngine& engine() { return engine_; }
  const FakeClock& clock() const { return clock_; }
  const Counts& counts() const { return counts_; }
  api::Dispatcher& dispatcher() { return *dispatcher_; }

 private:
  struct Agent;
  struct Due {
    Time time;
    int64_t number;                // equal times: in the order they were made
    std::shared_ptr<Agent> agent;  // null: the scheduler
    bool operator>(const Due& other) const {
      return std::pair(time, number) > std::pair(other.time, other.number);
    }
  };

  void open();
  void schedule(Time time, std::shared_ptr<Agent> agent);
  void schedule_look(Time time);
  void look();
  void act(const std::shared_ptr<Agent>& agent);
  void add_event(Agent& agent, protocol::EventKind kind);
  void finish(Agent& agent, protocol::Outcome outcome);
  protocol::ReportAnswer report(Agent& agent);
  void obey(Agent& agent, const protocol::ReportAnswer& answer);
  std::chrono::milliseconds up_to_twice(std::chrono::milliseconds least);

  fs::path folder_;
  scheduler::SchedulerOptions options_;
  std::mt19937_64 random_;
  FakeClock clock_;
  std::map<std::string, JobPlan> plans_;
  PaperEngine engine_;
  std::unique_ptr<objects::ObjectStore> objects_;
  std::unique_ptr<jobs::JobStore> jobs_;
  std::unique_ptr<logs::LogStore> logs_;
  std::unique_ptr<metrics::MetricStore> metrics_;
  std::unique_ptr<api::Dispatcher> dispatcher_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  int64_t next_number_ = 0;
  size_t agents_ = 0;  // that have not ended
  Time next_look_{};   // events of other times were replaced by this one
  Counts counts_;
};

}  // namespace trainyard::simulation
