// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.hpp"

#include <algorithm>
#include <numeric>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

namespace trainyard::scheduler {

namespace {

constexpr std::chrono::seconds kLookInterval{1};
// Of a longer queue only the beginning is looked at.
constexpr size_t kLookahead = 1000;

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
  auto active = TRY(jobs_.active());
  std::map<std::string, Instances> instances;
  for (jobs::Instance& one : TRY(jobs_.active_instances())) {
    instances[one.job].push_back(std::move(one));
  }
  std::vector<const jobs::Job*> waiting;
  for (const jobs::Job& job : active) {
    // One job's trouble is no other job's.
    if (auto looked = look_at(job, instances[job.name]); !looked) {
      log::error("scheduling a job", {{"job", job.name}, {"error", looked.error().message}});
    }
    bool is_waiting = job.phase == Phase::starting || job.phase == Phase::pending;
    if (is_waiting && instances[job.name].empty()) waiting.push_back(&job);
  }
  return waiting.empty() ? Result<>() : place(waiting, instances);
}

Result<> Scheduler::look_at(const jobs::Job& job, const Instances& instances) {
  if (is_over_max_wait(job)) TRY(jobs_.exceed_max_wait(job.name));
  Instances gang;
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
  if (status_of(job.phase) == JobStatus::stopping) TRY(jobs_.apply(job.name, JobEvent::stopped));
  return {};
}

// Of all its instances together.
Result<Resources> Scheduler::need_of(const std::string& job) const {
  const Capacity& capacity = options_.capacity;
  bool is_counted = capacity.vcpus || capacity.memory_bytes || capacity.gpus > 0;
  if (!is_counted) return Resources{};
  auto whole = TRY(jobs_.find(job));
  auto assignment = TRY(protocol::parse_assignment(TRY(json::parse_object(whole.assignment))));
  Resources need;
  for (const std::string& host : assignment.hosts) {
    assignment.host = host;
    need += options_.types.size_of(protocol::instance_type_of(assignment));
  }
  return need;
}

Result<> Scheduler::place(const std::vector<const jobs::Job*>& waiting,
                          const std::map<std::string, Instances>& taken) {
  std::vector<Resources> running;
  std::vector<int64_t> free_gpus(static_cast<size_t>(options_.capacity.gpus));
  std::iota(free_gpus.begin(), free_gpus.end(), 0);
  for (const auto& [name, instances] : taken) {
    if (instances.empty()) continue;
    // One that cannot be read takes no room, and fails when it is placed.
    running.push_back(within(options_.capacity, need_of(name).value_or(Resources{})));
    for (const jobs::Instance& instance : instances) {
      std::erase_if(free_gpus, [&](int64_t gpu) {
        return std::find(instance.gpus.begin(), instance.gpus.end(), gpu) != instance.gpus.end();
      });
    }
  }
  std::vector<Waiting> queue;
  for (const jobs::Job* job : waiting) {
    if (queue.size() == kLookahead) break;
    queue.push_back({job->name, need_of(job->name).value_or(Resources{}), job->created});
  }
  auto choices = choose(options_.capacity, queue, running, clock_.now());
  for (size_t i = 0; i < choices.size(); ++i) {
    const jobs::Job& job = *waiting[i];
    bool is_news = !choices[i].reason.empty() && job.phase == Phase::starting;
    if (is_news) TRY(jobs_.apply(job.name, JobEvent::queued, choices[i].reason));
    if (!choices[i].reason.empty()) continue;
    if (auto placed = place(job, free_gpus); !placed) {
      log::error("starting a job", {{"job", job.name}, {"error", placed.error().message}});
    }
  }
  return {};
}

Result<> Scheduler::place(const jobs::Job& job, std::vector<int64_t>& free_gpus) {
  auto whole = TRY(jobs_.find(job.name));
  auto assignment = TRY(protocol::parse_assignment(TRY(json::parse_object(whole.assignment))));
  Instances gang;
  for (const std::string& host : assignment.hosts) {
    assignment.host = host;
    const Resources& size = options_.types.size_of(protocol::instance_type_of(assignment));
    gang.push_back({job.name, job.attempt, host, "", random_hex(32), 0, {}});
    auto count = std::min(free_gpus.size(), static_cast<size_t>(size.gpus));
    auto end = free_gpus.begin() + static_cast<std::ptrdiff_t>(count);
    gang.back().gpus.assign(free_gpus.begin(), end);
    free_gpus.erase(free_gpus.begin(), end);
  }
  TRY(jobs_.add_instances(gang));
  return watch(job, std::move(gang));
}

// Whether every instance has its agent. What one waits for is told to who asks for the job.
Result<bool> Scheduler::is_started(const jobs::Job& job, const Instances& gang) {
  std::string reason;
  for (const jobs::Instance& instance : gang) {
    if (instance.handle.empty()) return false;
    auto seen = TRY(engine_.inspect(engine::Handle{instance.handle}));
    if (seen.state == engine::InstanceState::gone) return false;
    if (seen.state == engine::InstanceState::starting && reason.empty()) reason = seen.reason;
  }
  bool has_begun = job.phase != Phase::starting && job.phase != Phase::pending;
  if (!reason.empty() && !has_begun) TRY(tell(job, reason));
  return true;
}

// StatusMessage of a job that has not begun.
Result<> Scheduler::tell(const jobs::Job& job, const std::string& reason) {
  auto whole = TRY(jobs_.find(job.name));
  if (!whole.transitions.empty() && whole.transitions.back().message == reason) return {};
  TRY(jobs_.apply(job.name, JobEvent::queued, reason));
  return {};
}

Result<> Scheduler::start(const jobs::Job& job, Instances& gang) {
  engine::Gang wanted;
  bool is_first = true;
  auto whole = TRY(jobs_.find(job.name));
  for (const jobs::Instance& instance : gang) {
    wanted.instances.push_back(TRY(assignment_of(whole, instance)));
    is_first = is_first && instance.handle.empty();
  }
  auto handles = TRY(engine_.start(wanted));
  CHECK(handles.size() == gang.size(), "a handle for each instance");
  if (!is_first) log::warn("started lost agents again", {{"job", job.name}});
  for (size_t i = 0; i < gang.size(); ++i) gang[i].handle = handles[i].text;
  return jobs_.set_handles(gang);
}

// Starts what is not started, or whose agent is lost; passes a stop on.
Result<> Scheduler::watch(const jobs::Job& job, Instances gang) {
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
  assignment.resources = options_.types.size_of(protocol::instance_type_of(assignment));
  if (options_.capacity.gpus > 0) assignment.gpus = instance.gpus;
  assignment.server = options_.server;
  assignment.server.access_key = job.credentials.access_key;
  assignment.server.secret_key = job.credentials.secret_key;
  assignment.server.session_token = job.credentials.session_token;
  assignment.server.report_token = instance.report_token;
  return assignment;
}

}  // namespace trainyard::scheduler
