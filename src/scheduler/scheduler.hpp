// SPDX-License-Identifier: Apache-2.0
// What runs next, and what became of what runs: one thread that looks at all jobs which are not
// terminal, whenever something happened and at least every second. It keeps no state of its own, so
// a restarted server goes on where the killed one was.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "base/guarded.hpp"
#include "engine/engine.hpp"
#include "jobs/job_store.hpp"
#include "scheduler/placement.hpp"

namespace trainyard::scheduler {

struct SchedulerOptions {
  Capacity capacity;  // of this service's host
  InstanceTypes types;
  protocol::ServerAccess server;  // endpoint and region for agents; keys are each job's own
};

class Scheduler {
 public:
  // The references must outlive the scheduler.
  Scheduler(SchedulerOptions options, jobs::JobStore& jobs, engine::Engine& engine,
            const Clock& clock)
      : options_(std::move(options)), jobs_(jobs), engine_(engine), clock_(clock) {}

  // Removes instances that no job knows. Call it before start(), once.
  Result<> recover();

  void start();

  // Something happened: a new job, a stop, a report. Any thread.
  void wake();

  // One look at everything; what start()'s thread does. For tests.
  Result<> look();

 private:
  using Instances = std::vector<jobs::Instance>;

  Result<> look_at(const jobs::Job& job, const Instances& instances);
  // Starts those of the jobs for which there is room. `taken`: by job, of those that run.
  Result<> place(const std::vector<const jobs::Job*>& waiting,
                 const std::map<std::string, Instances>& taken);
  Result<> place(const jobs::Job& job, std::vector<int64_t>& free_gpus);
  Result<Resources> need_of(const std::string& job) const;
  Result<> watch(const jobs::Job& job, Instances gang);
  Result<> start(const jobs::Job& job, Instances& gang);
  Result<bool> is_started(const jobs::Job& job, const Instances& gang);
  Result<> tell(const jobs::Job& job, const std::string& reason);
  Result<> remove(const jobs::Instance& instance);
  Result<> clean_up();
  bool is_over_max_wait(const jobs::Job& job) const;
  Result<int64_t> seconds_trained(const jobs::Job& job) const;
  Result<protocol::Assignment> assignment_of(const jobs::Job& job,
                                             const jobs::Instance& instance) const;

  SchedulerOptions options_;
  jobs::JobStore& jobs_;
  engine::Engine& engine_;
  const Clock& clock_;
  Guarded<bool> is_awake_;
  std::jthread thread_;
};

}  // namespace trainyard::scheduler
