// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

namespace trainyard::scheduler {

namespace {

constexpr std::chrono::seconds kLookInterval{1};

// E.1: the text of failures that are not the job's own.
constexpr std::string_view kInternalError =
    "InternalServerError: We encountered an internal error. Please try again.";

}  // namespace

Result<> Scheduler::recover() {
  for (const engine::Found& found : TRY(engine_.recover())) {
    auto known = TRY(jobs_.instances(found.job_name));
    bool is_known = std::any_of(known.begin(), known.end(), [&](const jobs::Instance& instance) {
      return instance.attempt == found.attempt && instance.host == found.host;
    });
    if (is_known) continue;
    log::warn("removing an instance that no job knows", {{"job", found.job_name}});
    TRY(engine_.remove(found.handle));
  }
  return {};
}

void Scheduler::start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    while (!stop.stop_requested()) {
      auto begin = std::chrono::steady_clock::now();
      if (auto looked = look(); !looked) {
        log::error("scheduling", {{"error", looked.error().message}});
      }
      auto end = std::chrono::steady_clock::now();
      auto deadline = end + kLookInterval;
      // With thousands of jobs that wait, and new ones all the time, it would do nothing but look.
      is_awake_.wait(
          stop, end + (end - begin), [](bool) { return false; }, [](bool) {});
      is_awake_.wait(
          stop, deadline, [](bool is_awake) { return is_awake; },
          [](bool& is_awake) { is_awake = false; });
    }
  });
}

void Scheduler::wake() {
  is_awake_.change([](bool& is_awake) { is_awake = true; });
}

Result<> Scheduler::look() {
  TRY(clean_up());
  size_t running = 0;
  auto active = TRY(jobs_.active());
  for (const jobs::Job& job : active) {
    if (!TRY(jobs_.instances(job.name)).empty()) ++running;
  }
  for (const jobs::Job& job : active) {
    // One job's trouble is no other job's.
    if (auto looked = look_at(job, running); !looked) {
      log::error("scheduling a job", {{"job", job.name}, {"error", looked.error().message}});
    }
  }
  return {};
}

Result<> Scheduler::look_at(const jobs::Job& job, size_t& running) {
  if (is_over_max_wait(job)) TRY(jobs_.exceed_max_wait(job.name));
  auto instances = TRY(jobs_.instances(job.name));
  std::vector<jobs::Instance> gang;
  for (const jobs::Instance& instance : instances) {
    bool has_lost_its_place = instance.attempt != job.attempt || job.phase == Phase::interrupted;
    if (has_lost_its_place) TRY(remove(instance));
    if (!has_lost_its_place && !instance.is_finished) gang.push_back(instance);
  }
  if (!gang.empty()) TRY(watch(job, std::move(gang)));
  if (!instances.empty()) return {};
  if (job.phase == Phase::interrupted) {
    TRY(jobs_.restart(job.name));
    wake();
    return {};
  }
  if (status_of(job.phase) == JobStatus::stopping) {
    TRY(jobs_.apply(job.name, JobEvent::stopped));
    return {};
  }
  if (running >= options_.max_running_jobs) return {};
  ++running;
  return place(job);
}

Result<> Scheduler::place(const jobs::Job& job) {
  auto assignment = TRY(protocol::parse_assignment(TRY(json::parse_object(job.assignment))));
  std::vector<jobs::Instance> gang;
  for (const std::string& host : assignment.hosts) {
    gang.push_back({job.name, job.attempt, host, "", random_hex(32), 0, {}});
  }
  TRY(jobs_.add_instances(gang));
  return watch(job, std::move(gang));
}

// Whether every instance has its agent. What one waits for is told to who asks for the job.
Result<bool> Scheduler::is_started(const jobs::Job& job, const std::vector<jobs::Instance>& gang) {
  std::string reason;
  for (const jobs::Instance& instance : gang) {
    if (instance.handle.empty()) return false;
    auto seen = TRY(engine_.inspect(engine::Handle{instance.handle}));
    if (seen.state == engine::InstanceState::gone) return false;
    if (seen.state == engine::InstanceState::starting && reason.empty()) reason = seen.reason;
  }
  if (!reason.empty() && job.phase == Phase::starting) TRY(tell(job, reason));
  return true;
}

// StatusMessage of a job that has not begun.
Result<> Scheduler::tell(const jobs::Job& job, const std::string& reason) {
  auto whole = TRY(jobs_.find(job.name));
  if (!whole.transitions.empty() && whole.transitions.back().message == reason) return {};
  TRY(jobs_.apply(job.name, JobEvent::preparing, reason));
  return {};
}

Result<> Scheduler::start(const jobs::Job& job, std::vector<jobs::Instance>& gang) {
  engine::Gang wanted;
  bool is_first = true;
  for (const jobs::Instance& instance : gang) {
    wanted.instances.push_back(TRY(assignment_of(job, instance)));
    is_first = is_first && instance.handle.empty();
  }
  auto handles = TRY(engine_.start(wanted));
  CHECK(handles.size() == gang.size(), "a handle for each instance");
  if (!is_first) log::warn("started lost agents again", {{"job", job.name}});
  for (size_t i = 0; i < gang.size(); ++i) gang[i].handle = handles[i].text;
  return jobs_.set_handles(gang);
}

// Starts what is not started, or whose agent is lost; passes a stop on.
Result<> Scheduler::watch(const jobs::Job& job, std::vector<jobs::Instance> gang) {
  if (!TRY(is_started(job, gang))) {
    auto started = start(job, gang);
    if (!started && started.error().code == Code::exhausted) {
      return tell(job, started.error().message);
    }
    if (!started && is_retryable(started.error().code))
      return started;  // the next look tries again
    if (!started) {
      log::error("starting instances", {{"job", job.name}, {"error", started.error().message}});
      return jobs_.fail_or_retry(job.name,
                                 fmt::format("{} ({})", kInternalError, started.error().message));
    }
  }
  bool is_ending = status_of(job.phase) == JobStatus::stopping || !job.failing_reason.empty();
  if (!is_ending) return {};
  for (const jobs::Instance& instance : gang) {
    TRY(engine_.stop(engine::Handle{instance.handle}));
  }
  return {};
}

Result<> Scheduler::remove(const jobs::Instance& instance) {
  if (!instance.handle.empty()) TRY(engine_.remove(engine::Handle{instance.handle}));
  TRY(jobs_.remove_instance(instance));
  wake();
  return {};
}

bool Scheduler::is_over_max_wait(const jobs::Job& job) const {
  return job.max_wait_seconds && status_of(job) == JobStatus::in_progress &&
         clock_.now() - job.created >= std::chrono::seconds(*job.max_wait_seconds);
}

// MaxRuntimeInSeconds counts the time in Training of all attempts together: contract.md M 12.
Result<int64_t> Scheduler::seconds_trained(const jobs::Job& job) const {
  auto whole = TRY(jobs_.find(job.name));
  std::chrono::milliseconds trained{0};
  for (const jobs::Transition& step : whole.transitions) {
    if (step.phase == Phase::training && step.end) trained += *step.end - step.start;
  }
  return std::chrono::floor<std::chrono::seconds>(trained).count();
}

Result<> Scheduler::clean_up() {
  for (const jobs::Instance& instance : TRY(jobs_.finished_instances())) {
    if (!instance.handle.empty()) TRY(engine_.remove(engine::Handle{instance.handle}));
    TRY(jobs_.remove_instances(instance.job));
  }
  return {};
}

Result<protocol::Assignment> Scheduler::assignment_of(const jobs::Job& job,
                                                      const jobs::Instance& instance) const {
  auto assignment = TRY(protocol::parse_assignment(TRY(json::parse_object(job.assignment))));
  assignment.attempt = instance.attempt;
  if (instance.attempt > 1) {
    int64_t left = assignment.max_runtime_seconds - TRY(seconds_trained(job));
    assignment.max_runtime_seconds = std::max<int64_t>(left, 1);
  }
  assignment.host = instance.host;
  assignment.server = options_.server;
  assignment.server.access_key = job.credentials.access_key;
  assignment.server.secret_key = job.credentials.secret_key;
  assignment.server.session_token = job.credentials.session_token;
  assignment.server.report_token = instance.report_token;
  return assignment;
}

}  // namespace trainyard::scheduler
