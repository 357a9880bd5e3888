// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulation.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "protocol/report.hpp"

namespace trainyard::simulation {

using protocol::EventKind;
using protocol::Outcome;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kHeartbeat{5000};  // as agents have it
constexpr milliseconds kLook{1000};       // as the scheduler has it

template <class T>
T must(Result<T> result) {
  CHECK(result.has_value(), result ? "" : result.error().message.c_str());
  return std::move(*result);
}

}  // namespace

// The agent of one instance.
struct Simulation::Agent {
  enum class Stage { booting, downloading, ready, running, uploading, ended };

  protocol::Assignment assignment;
  JobPlan plan;
  Stage stage = Stage::booting;
  Time stage_end{};
  Time last_report{};
  std::vector<protocol::Event> events;  // that are not acknowledged
  int64_t sequence = 0;
  int64_t log_offset = 0;
  bool is_given_up = false;

  int number() const { return std::stoi(assignment.host.substr(5)); }
  bool is_leader() const { return assignment.host == assignment.hosts.front(); }
};

Simulation::Simulation(const fs::path& folder, scheduler::SchedulerOptions options, uint64_t seed)
    : folder_(folder), options_(std::move(options)), random_(seed) {
  open();
}

Simulation::~Simulation() = default;

void Simulation::open() {
  scheduler_.reset();
  dispatcher_.reset();
  objects_.reset();
  jobs_.reset();
  logs_.reset();
  metrics_.reset();
  objects_ = must(objects::ObjectStore::open(folder_, clock_));
  jobs_ = must(jobs::JobStore::open(folder_ / "server.db", clock_));
  logs_ = must(logs::LogStore::open(folder_ / "logs.db", clock_));
  metrics_ = must(metrics::MetricStore::open(folder_ / "metrics.db", clock_));
  dispatcher_ =
      std::make_unique<api::Dispatcher>(api::Services{{},
                                                      *objects_,
                                                      *jobs_,
                                                      *logs_,
                                                      *metrics_,
                                                      clock_,
                                                      [this] { schedule_look(clock_.now()); },
                                                      [](const S3Uri&) { return std::nullopt; }});
  scheduler_ = std::make_unique<scheduler::Scheduler>(options_, *jobs_, engine_, clock_);
}

void Simulation::restart_server() {
  open();
  CHECK(scheduler_->recover().has_value(), "recovery");
  schedule_look(clock_.now());
}

void Simulation::create(const JobPlan& plan) {
  protocol::Assignment assignment;
  assignment.job_name = plan.name;
  assignment.instance_type = plan.instance_type;
  assignment.hosts.clear();
  for (size_t i = 1; i <= plan.instances; ++i) {
    assignment.hosts.push_back(fmt::format("algo-{}", i));
  }
  std::sort(assignment.hosts.begin(), assignment.hosts.end());
  jobs::NewJob job;
  job.name = plan.name;
  job.arn = "arn:" + plan.name;
  job.request = "{}";
  job.assignment = json::serialize(protocol::to_json(assignment));
  job.tags = "[]";
  job.credentials = jobs::make_credentials();
  CHECK(jobs_->create(job).has_value(), plan.name.c_str());
  plans_[plan.name] = plan;
}

milliseconds Simulation::up_to_twice(milliseconds least) {
  std::uniform_int_distribution<int64_t> more(0, std::max<int64_t>(least.count(), 1));
  return least + milliseconds(more(random_));
}

void Simulation::schedule(Time time, std::shared_ptr<Agent> agent) {
  due_.push({time, next_number_++, std::move(agent)});
}

void Simulation::run(milliseconds limit) {
  Time end = clock_.now() + limit;
  schedule_look(clock_.now());
  while (!due_.empty() && due_.top().time <= end) {
    Due next = due_.top();
    due_.pop();
    if (next.time > clock_.now()) clock_.advance(next.time - clock_.now());
    if (next.agent)
      act(next.agent);
    else if (next.time == next_look_)
      look();
  }
}

void Simulation::schedule_look(Time time) {
  if (next_look_ >= clock_.now() && next_look_ <= time) return;  // one comes before
  next_look_ = time;
  schedule(time, nullptr);
}

void Simulation::look() {
  ++counts_.looks;
  auto begin = std::chrono::steady_clock::now();
  CHECK(scheduler_->look().has_value(), "a look");
  counts_.looking += std::chrono::steady_clock::now() - begin;
  counts_.most_instances = std::max(counts_.most_instances, engine_.size());
  next_look_ = {};
  for (protocol::Assignment& assignment : engine_.take_started()) {
    auto agent = std::make_shared<Agent>();
    agent->plan = plans_[assignment.job_name];
    agent->assignment = std::move(assignment);
    ++agents_;
    Time booted = clock_.now() + up_to_twice(agent->plan.boot);
    schedule(booted, std::move(agent));
  }
  bool is_idle = agents_ == 0 && must(jobs_->active()).empty() && engine_.size() == 0;
  if (!is_idle) schedule_look(clock_.now() + kLook);
}

void Simulation::add_event(Agent& agent, EventKind kind) {
  protocol::Event event;
  event.sequence = ++agent.sequence;
  event.kind = kind;
  event.time_ms = to_epoch_ms(clock_.now());
  agent.events.push_back(std::move(event));
  ++counts_.events;
}

void Simulation::finish(Agent& agent, Outcome outcome) {
  add_event(agent, EventKind::finished);
  agent.events.back().outcome = outcome;
  agent.events.back().has_artifacts = agent.is_leader();
  if (outcome == Outcome::failed) {
    agent.events.back().failure_reason = "AlgorithmError: , exit code: 1";
  }
  agent.stage = Agent::Stage::ended;
}

// One step of an agent: what is due by its plan, then a report.
void Simulation::act(const std::shared_ptr<Agent>& agent) {
  if (!engine_.is_running(PaperEngine::handle_of(agent->assignment))) {
    --agents_;
    return;
  }
  using Stage = Agent::Stage;
  Time now = clock_.now();
  const JobPlan& plan = agent->plan;
  if (agent->stage == Stage::booting) {
    add_event(*agent, EventKind::preparing);
    add_event(*agent, EventKind::downloading);
    agent->stage = Stage::downloading;
    agent->stage_end = now + up_to_twice(plan.download);
  } else if (agent->stage == Stage::downloading && now >= agent->stage_end) {
    add_event(*agent, EventKind::ready);
    agent->stage = Stage::ready;
  } else if (agent->stage == Stage::running && now >= agent->stage_end) {
    if (agent->number() == plan.lost_host) engine_.lose(PaperEngine::handle_of(agent->assignment));
    if (agent->number() == plan.lost_host) return schedule(now, agent);
    add_event(*agent, EventKind::uploading);
    bool is_failing = agent->number() == plan.failing_host;
    agent->stage = Stage::uploading;
    if (is_failing || !agent->is_leader()) {
      finish(*agent, is_failing ? Outcome::failed : Outcome::completed);
    }
  }
  obey(*agent, report(*agent));
  if (agent->stage == Stage::ended && agent->events.empty()) {
    --agents_;
    return;
  }
  bool is_waiting = agent->stage == Stage::ready || agent->stage == Stage::uploading;
  Time next = now + (is_waiting ? milliseconds(1000) : kHeartbeat);
  bool has_end = agent->stage == Stage::downloading || agent->stage == Stage::running;
  if (has_end) next = std::min(next, std::max(agent->stage_end, now + milliseconds(1)));
  schedule(next, agent);
}

protocol::ReportAnswer Simulation::report(Agent& agent) {
  protocol::Report report;
  report.job = agent.assignment.job_name;
  report.attempt = agent.assignment.attempt;
  report.host = agent.assignment.host;
  report.events = agent.events;
  double seconds = std::chrono::duration<double>(clock_.now() - agent.last_report).count();
  auto lines = agent.stage == Agent::Stage::running
                   ? static_cast<int64_t>(seconds * agent.plan.lines_per_second)
                   : 0;
  agent.last_report = clock_.now();
  if (lines > 0) {
    constexpr std::string_view kLine = "step 1200: loss = 0.6931, accuracy = 0.5123, 412 images/s";
    protocol::LogChunk chunk{agent.log_offset, agent.log_offset, {}};
    for (int64_t i = 0; i < lines; ++i) {
      chunk.lines.push_back({to_epoch_ms(clock_.now()), std::string(kLine)});
      chunk.end += static_cast<int64_t>(kLine.size()) + 1;
    }
    report.log = std::move(chunk);
  }
  ++counts_.reports;
  counts_.lines += lines;

  http::TextBody body(json::serialize(to_json(report)));
  http::Request request;
  request.method = "POST";
  request.path = protocol::kReportPath;
  request.headers.set("Authorization", "Bearer " + agent.assignment.server.report_token);
  request.body = &body;
  auto begin = std::chrono::steady_clock::now();
  http::Response response = dispatcher_->handle(request);
  counts_.reporting += std::chrono::steady_clock::now() - begin;
  if (response.status == 401) {
    protocol::ReportAnswer obsolete;
    obsolete.command = protocol::Command::obsolete;
    return obsolete;
  }
  CHECK(response.status == 200, std::get<std::string>(response.body).c_str());
  auto document = must(json::parse_object(std::get<std::string>(response.body)));
  return must(protocol::parse_answer(document));
}

void Simulation::obey(Agent& agent, const protocol::ReportAnswer& answer) {
  using Stage = Agent::Stage;
  std::erase_if(agent.events, [&](const protocol::Event& event) {
    return event.sequence <= answer.acknowledged_sequence;
  });
  agent.log_offset = std::max(agent.log_offset, answer.log_offset);
  if (answer.command == protocol::Command::obsolete) {
    agent.events.clear();
    agent.stage = Stage::ended;
  }
  bool is_asked = answer.command == protocol::Command::stop ||
                  answer.command == protocol::Command::interrupt ||
                  answer.command == protocol::Command::give_up;
  if (is_asked && agent.stage != Stage::ended) finish(agent, Outcome::stopped);
  if (agent.stage == Stage::ready && answer.may_proceed) {
    add_event(agent, EventKind::training);
    agent.stage = Stage::running;
    agent.last_report = clock_.now();
    bool is_cut_short =
        agent.number() == agent.plan.failing_host || agent.number() == agent.plan.lost_host;
    agent.stage_end = clock_.now() + (is_cut_short ? agent.plan.run / 2 : agent.plan.run);
  } else if (agent.stage == Stage::uploading && answer.may_proceed) {
    finish(agent, Outcome::completed);
  }
}

}  // namespace trainyard::simulation
