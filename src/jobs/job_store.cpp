// SPDX-License-Identifier: Apache-2.0
#include "jobs/job_store.hpp"

#include <algorithm>

#include "base/random.hpp"
#include "base/text.hpp"
#include "db/statement.hpp"
#include "db/transaction.hpp"
#include "jobs/gang.hpp"
#include "jobs/schema.hpp"
#include "jobs/transitions.hpp"

namespace trainyard::jobs {

namespace {

constexpr std::string_view kColumns =
    "name, arn, phase, created_ms, modified_ms, training_start_ms, training_end_ms, request, "
    "assignment, tags, failure_reason, has_artifacts, access_key, secret_key, session_token, "
    "is_deleting, notices, attempt, max_retries, max_wait_seconds, is_spot, is_interrupting, "
    "is_over_max_wait, diagnosis, failing_reason, failing_diagnosis";

// Failures that are the service's, E.1.
constexpr std::string_view kInternal = "InternalServerError";

// What a page of a list shows. The index job_listed has all of it.
constexpr std::string_view kListColumns =
    "name, arn, phase, status, created_ms, modified_ms, training_end_ms";

std::optional<Time> time_from(std::optional<int64_t> epoch_ms) {
  if (!epoch_ms) return std::nullopt;
  return from_epoch_ms(*epoch_ms);
}

ListedJob read_listed_job(const db::Statement& row) {
  return {row.text(0),
          row.text(1),
          parse_phase(row.text(2)).value_or(Phase::failed),
          parse_job_status(row.text(3)).value_or(JobStatus::failed),
          from_epoch_ms(row.integer(4)),
          from_epoch_ms(row.integer(5)),
          time_from(row.optional_integer(6))};
}

Job read_job(const db::Statement& row) {
  Job job;
  job.name = row.text(0);
  job.arn = row.text(1);
  job.phase = parse_phase(row.text(2)).value_or(Phase::failed);
  job.created = from_epoch_ms(row.integer(3));
  job.modified = from_epoch_ms(row.integer(4));
  job.training_start = time_from(row.optional_integer(5));
  job.training_end = time_from(row.optional_integer(6));
  job.request = row.text(7);
  job.assignment = row.text(8);
  job.tags = row.text(9);
  job.failure_reason = row.text(10);
  job.has_artifacts = row.integer(11) != 0;
  job.credentials = {row.text(12), row.text(13), row.text(14)};
  job.is_deleting = row.integer(15) != 0;
  job.notices = row.text(16);
  job.attempt = row.integer(17);
  job.max_retries = row.integer(18);
  job.max_wait_seconds = row.optional_integer(19);
  job.is_spot = row.integer(20) != 0;
  job.is_interrupting = row.integer(21) != 0;
  job.is_over_max_wait = row.integer(22) != 0;
  job.diagnosis = row.text(23);
  job.failing_reason = row.text(24);
  job.failing_diagnosis = row.text(25);
  return job;
}

std::vector<int64_t> parse_numbers(std::string_view text) {
  std::vector<int64_t> numbers;
  for (std::string_view part : split(text, ',')) {
    if (auto number = parse_signed(part)) numbers.push_back(*number);
  }
  return numbers;
}

Instance read_instance(const db::Statement& row) {
  return {row.text(0),
          row.integer(1),
          row.text(2),
          row.text(3),
          row.text(4),
          row.integer(5),
          from_epoch_ms(row.integer(6)),
          row.text(7) == trainyard::jobs::name(Stage::finished),
          parse_numbers(row.text(8))};
}
constexpr std::string_view kInstanceColumns =
    "job, attempt, host, handle, report_token, acknowledged, created_ms, stage, gpus";

Result<Members> members_of(db::Database& database, const Instance& instance) {
  auto row = database.prepare(
      "SELECT host, stage, outcome, has_artifacts FROM instance WHERE job = ? AND attempt = ? "
      "ORDER BY host");
  row.bind(instance.job).bind(instance.attempt);
  Members members;
  while (TRY(row.step())) {
    members.push_back({row.text(0), parse_stage(row.text(1)), protocol::parse_outcome(row.text(2)),
                       row.integer(3) != 0});
  }
  return members;
}

// What the instance has come to, by this event of its.
Result<> note_stage(db::Database& database, const Instance& instance,
                    const protocol::Event& event) {
  auto stage = stage_of(event.kind);
  if (!stage) return {};
  auto update = database.prepare(
      "UPDATE instance SET stage = ?, outcome = ?, has_artifacts = ? "
      "WHERE job = ? AND attempt = ? AND host = ?");
  update.bind(trainyard::jobs::name(*stage));
  update.bind(event.outcome ? protocol::name(*event.outcome) : std::string_view());
  update.bind(event.has_artifacts).bind(instance.job).bind(instance.attempt);
  return update.bind(instance.host).run();
}

// Where all instances are being ended, one that fails because it misses another one has not failed.
std::optional<protocol::Outcome> in_the_gang(const Job& job, const Members& members,
                                             const protocol::Event& event) {
  bool is_meant = event.outcome == protocol::Outcome::failed && members.size() > 1 &&
                  !event.failure_reason.starts_with(kInternal);
  if (is_meant && job.is_interrupting) return protocol::Outcome::interrupted;
  if (is_meant && status_of(job) == JobStatus::stopping) return protocol::Outcome::stopped;
  return event.outcome;
}

// The others are to end; the reason is kept until they have.
Result<> note_failure(db::Database& database, const Job& job, const Happening& failure) {
  if (!job.failing_reason.empty()) return {};
  auto update =
      database.prepare("UPDATE job SET failing_reason = ?, failing_diagnosis = ? WHERE name = ?");
  return update.bind(failure.failure_reason).bind(failure.diagnosis).bind(job.name).run();
}

// Without transitions.
Result<Job> find_job(db::Database& database, const std::string& name) {
  auto row = database.prepare(fmt::format("SELECT {} FROM job WHERE name = ?", kColumns));
  row.bind(name);
  if (!TRY(row.step())) return fail(Code::not_found, "no training job '{}'", name);
  return read_job(row);
}

// Jobs that are marked go once nothing runs for them any more.
Result<> delete_marked(db::Database& database) {
  return database
      .prepare("DELETE FROM job WHERE is_deleting = 1 AND name NOT IN (SELECT job FROM instance)")
      .run();
}

// The old attempt's key and report tokens are worth nothing from here on.
Result<> begin_next_attempt(db::Database& database, const Job& job, Time now) {
  bool is_moved = TRY(move(database, job.name, {JobEvent::restarted, now, "", "", false}));
  if (!is_moved) return {};
  JobCredentials fresh = make_credentials();
  auto update = database.prepare(
      "UPDATE job SET attempt = attempt + 1, is_interrupting = 0, failing_reason = '', "
      "failing_diagnosis = '', access_key = ?, secret_key = ?, session_token = ? WHERE name = ?");
  update.bind(fresh.access_key).bind(fresh.secret_key).bind(fresh.session_token);
  return update.bind(job.name).run();
}

bool is_internal(const Happening& failure) {
  return failure.failure_reason.starts_with(kInternal);
}

// RetryStrategy covers InternalServerError alone: contract.md B.1.
Result<> fail_or_begin_again(db::Database& database, const Job& job, const Happening& failure) {
  bool can_retry = is_internal(failure) && job.attempt <= job.max_retries &&
                   status_of(job) == JobStatus::in_progress;
  if (can_retry) return begin_next_attempt(database, job, failure.time);
  TRY(move(database, job.name, failure));
  return {};
}

std::string_view column_of(SortBy sort_by) {
  switch (sort_by) {
    case SortBy::name:
      return "name";
    case SortBy::created:
      return "created_ms";
    case SortBy::status:
      return "status";
  }
  return "created_ms";
}

// "<sort value>\n<name>" of the last job of a page.
struct PageEnd {
  std::string value;
  std::string name;
};

Result<PageEnd> parse_token(const std::string& token) {
  std::string text = from_base64(token).value_or("");
  size_t at = text.find('\n');
  if (at == std::string::npos) return fail(Code::invalid, "NextToken is not one of this service");
  return PageEnd{text.substr(0, at), text.substr(at + 1)};
}

}  // namespace

JobCredentials make_credentials() {
  return {"TYJK" + random_text(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), random_hex(20),
          random_hex(32)};
}

JobStatus status_of(const Job& job) {
  return job.is_deleting ? JobStatus::deleting : trainyard::status_of(job.phase);
}

Result<std::unique_ptr<JobStore>> JobStore::open(const fs::path& file, const Clock& clock) {
  auto open_one = [&] { return db::Database::open(file, db::Durability::power_loss, kMigrations); };
  auto writer = TRY(open_one());
  auto rows = TRY(open_one());
  auto lists = TRY(open_one());
  auto scans = TRY(open_one());
  return std::unique_ptr<JobStore>(
      new JobStore(clock, std::move(writer), std::move(rows), std::move(lists), std::move(scans)));
}

Result<> JobStore::create(const NewJob& job) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    auto taken = database.prepare("SELECT arn FROM job WHERE name = ?");
    taken.bind(job.name);
    if (TRY(taken.step())) return fail(Code::conflict, "{}", taken.text(0));
    auto insert = database.prepare(
        "INSERT INTO job (name, arn, phase, status, is_terminal, created_ms, modified_ms, request, "
        "assignment, tags, notices, max_retries, is_spot, max_wait_seconds, access_key, "
        "secret_key, "
        "session_token) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    Time now = clock_.now();
    insert.bind(job.name).bind(job.arn).bind(trainyard::name(kFirstPhase));
    insert.bind(api_name(status_of(kFirstPhase))).bind(to_epoch_ms(now)).bind(to_epoch_ms(now));
    insert.bind(job.request).bind(job.assignment).bind(job.tags).bind(job.notices);
    insert.bind(job.max_retries).bind(job.is_spot).bind(job.max_wait_seconds);
    insert.bind(job.credentials.access_key).bind(job.credentials.secret_key);
    TRY(insert.bind(job.credentials.session_token).run());
    TRY(begin_transitions(database, job.name, now));
    return {};
  });
}

Result<Job> JobStore::find(const std::string& name) {
  return rows_.with([&](db::Database& database) -> Result<Job> {
    auto snapshot = TRY(db::Snapshot::begin(database));
    Job job = TRY(find_job(database, name));
    auto step = database.prepare(
        "SELECT phase, start_ms, end_ms, message FROM transition WHERE job = ? ORDER BY position");
    step.bind(name);
    while (TRY(step.step())) {
      job.transitions.push_back({parse_phase(step.text(0)).value_or(Phase::failed),
                                 from_epoch_ms(step.integer(1)),
                                 time_from(step.optional_integer(2)), step.text(3)});
    }
    return job;
  });
}

Result<Job> JobStore::find_ignoring_case(const std::string& name) {
  return rows_.with([&](db::Database& database) -> Result<Job> {
    auto row = database.prepare(fmt::format(
        "SELECT {} FROM job WHERE name = ?1 COLLATE NOCASE ORDER BY name = ?1 DESC", kColumns));
    row.bind(name);
    if (!TRY(row.step())) return fail(Code::not_found, "no training job '{}'", name);
    return read_job(row);
  });
}

Result<JobPage> JobStore::list(const JobQuery& query) {
  std::string_view column = column_of(query.sort_by);
  std::string where = "1";
  if (!query.name_contains.empty()) where += " AND instr(name, ?) > 0";
  if (!query.training_plan_arn.empty()) {
    where += " AND json_extract(request, '$.ResourceConfig.TrainingPlanArn') = ?";
  }
  if (query.status) where += " AND status = ?";
  if (query.created_after) where += " AND created_ms > ?";
  if (query.created_before) where += " AND created_ms < ?";
  if (query.modified_after) where += " AND modified_ms > ?";
  if (query.modified_before) where += " AND modified_ms < ?";
  std::optional<PageEnd> end;
  if (!query.token.empty()) {
    end = TRY(parse_token(query.token));
    where += fmt::format(" AND (CAST({} AS TEXT), name) {} (?, ?)", column,
                         query.is_descending ? "<" : ">");
  }
  std::string_view order = query.is_descending ? "DESC" : "ASC";
  std::string sql = fmt::format("SELECT {0} FROM job WHERE {1} ORDER BY {2} {3}, name {3} LIMIT ?",
                                kListColumns, where, column, order);
  return lists_.with([&](db::Database& database) -> Result<JobPage> {
    auto row = database.prepare(sql);
    if (!query.name_contains.empty()) row.bind(query.name_contains);
    if (!query.training_plan_arn.empty()) row.bind(query.training_plan_arn);
    if (query.status) row.bind(api_name(*query.status));
    for (const auto& limit :
         {query.created_after, query.created_before, query.modified_after, query.modified_before}) {
      if (limit) row.bind(to_epoch_ms(*limit));
    }
    if (end) row.bind(end->value).bind(end->name);
    row.bind(query.limit + 1);
    JobPage page;
    page.jobs.reserve(std::min<size_t>(query.limit, 100));
    while (TRY(row.step())) {
      if (page.jobs.size() == query.limit) {
        const ListedJob& last = page.jobs.back();
        std::string value = query.sort_by == SortBy::created
                                ? std::to_string(to_epoch_ms(last.created))
                            : query.sort_by == SortBy::name ? last.name
                                                            : std::string(api_name(last.status));
        page.next_token = to_base64(value + "\n" + last.name);
        break;
      }
      page.jobs.push_back(read_listed_job(row));
    }
    return page;
  });
}

Result<std::vector<Job>> JobStore::active() {
  return scans_.with([&](db::Database& database) -> Result<std::vector<Job>> {
    auto row = database.prepare(
        "SELECT name, phase, created_ms, attempt, max_wait_seconds, is_spot, is_interrupting, "
        "is_over_max_wait, failing_reason FROM job WHERE is_terminal = 0 "
        "ORDER BY created_ms, name");
    std::vector<Job> jobs;
    while (TRY(row.step())) {
      Job& job = jobs.emplace_back();
      job.name = row.text(0);
      job.phase = parse_phase(row.text(1)).value_or(Phase::failed);
      job.created = from_epoch_ms(row.integer(2));
      job.attempt = row.integer(3);
      job.max_wait_seconds = row.optional_integer(4);
      job.is_spot = row.integer(5) != 0;
      job.is_interrupting = row.integer(6) != 0;
      job.is_over_max_wait = row.integer(7) != 0;
      job.failing_reason = row.text(8);
    }
    return jobs;
  });
}

Result<std::vector<Job>> JobStore::all() {
  return scans_.with([&](db::Database& database) -> Result<std::vector<Job>> {
    auto row =
        database.prepare(fmt::format("SELECT {} FROM job ORDER BY created_ms, name", kColumns));
    std::vector<Job> jobs;
    while (TRY(row.step())) jobs.push_back(read_job(row));
    return jobs;
  });
}

Result<> JobStore::change(const std::string& name, const std::function<Result<>(Job&)>& edit) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    Job job = TRY(find_job(database, name));
    TRY(edit(job));
    auto update = database.prepare(
        "UPDATE job SET request = ?, assignment = ?, tags = ?, modified_ms = max(modified_ms, ?) "
        "WHERE name = ?");
    update.bind(job.request).bind(job.assignment).bind(job.tags);
    TRY(update.bind(to_epoch_ms(clock_.now())).bind(name).run());
    return {};
  });
}

Result<> JobStore::remove(const std::string& name) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    Job job = TRY(find_job(database, name));
    if (!is_terminal(job.phase)) {
      return fail(Code::conflict, "the training job is in status {}", api_name(status_of(job)));
    }
    auto mark = database.prepare("UPDATE job SET is_deleting = 1, status = ? WHERE name = ?");
    TRY(mark.bind(api_name(JobStatus::deleting)).bind(name).run());
    TRY(delete_marked(database));
    return {};
  });
}

Result<bool> JobStore::apply(const std::string& name, JobEvent event, const std::string& message,
                             const std::string& failure_reason) {
  auto write = [&](db::Database& database) -> Result<bool> {
    bool is_moved =
        TRY(move(database, name, {event, clock_.now(), message, failure_reason, false}));
    return is_moved;
  };
  return db::commit_for<bool>(committer_, write);
}

Result<> JobStore::fail_or_retry(const std::string& name, const std::string& failure_reason) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    Job job = TRY(find_job(database, name));
    Happening failure{JobEvent::failed, clock_.now(), "", failure_reason, false};
    TRY(fail_or_begin_again(database, job, failure));
    return {};
  });
}

Result<> JobStore::interrupt(const std::string& name) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    Job job = TRY(find_job(database, name));
    if (!job.is_spot) {
      return fail(Code::invalid, "only jobs with EnableManagedSpotTraining can be interrupted");
    }
    if (!next(job.phase, JobEvent::interrupted) || job.phase == Phase::stopping) {
      return fail(Code::invalid, "the training job is in status {}: there is nothing to interrupt",
                  api_name(job.phase));
    }
    TRY(database.prepare("UPDATE job SET is_interrupting = 1 WHERE name = ?").bind(name).run());
    return {};
  });
}

Result<> JobStore::restart(const std::string& name) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    TRY(begin_next_attempt(database, TRY(find_job(database, name)), clock_.now()));
    return {};
  });
}

Result<> JobStore::exceed_max_wait(const std::string& name) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    auto row = database.prepare("SELECT 1 FROM instance WHERE job = ?");
    bool has_instance = TRY(row.bind(name).step());
    TRY(database.prepare("UPDATE job SET is_over_max_wait = 1 WHERE name = ?").bind(name).run());
    JobEvent event = has_instance ? JobEvent::stop_requested : JobEvent::max_wait_time_exceeded;
    TRY(move(database, name, {event, clock_.now(), "", "", false}));
    return {};
  });
}

Result<std::optional<JobCredentials>> JobStore::find_credentials(const std::string& access_key) {
  return rows_.with([&](db::Database& database) -> Result<std::optional<JobCredentials>> {
    auto row = database.prepare(
        "SELECT access_key, secret_key, session_token FROM job "
        "WHERE access_key = ? AND is_terminal = 0");
    row.bind(access_key);
    if (!TRY(row.step())) return std::nullopt;
    return JobCredentials{row.text(0), row.text(1), row.text(2)};
  });
}

Result<> JobStore::add_instances(const std::vector<Instance>& instances) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    for (const Instance& instance : instances) {
      auto insert = database.prepare(
          "INSERT INTO instance (job, attempt, host, handle, report_token, created_ms, gpus) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)");
      insert.bind(instance.job).bind(instance.attempt).bind(instance.host).bind(instance.handle);
      insert.bind(instance.report_token).bind(to_epoch_ms(clock_.now()));
      TRY(insert.bind(fmt::format("{}", fmt::join(instance.gpus, ","))).run());
    }
    return {};
  });
}

Result<> JobStore::set_handles(const std::vector<Instance>& instances) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    for (const Instance& one : instances) {
      auto update = database.prepare(
          "UPDATE instance SET handle = ? WHERE job = ? AND attempt = ? AND host = ?");
      TRY(update.bind(one.handle).bind(one.job).bind(one.attempt).bind(one.host).run());
    }
    return {};
  });
}

Result<std::vector<Instance>> JobStore::instances(const std::string& job) {
  return rows_.with([&](db::Database& database) -> Result<std::vector<Instance>> {
    auto row = database.prepare(fmt::format(
        "SELECT {} FROM instance WHERE job = ? ORDER BY attempt, host", kInstanceColumns));
    row.bind(job);
    std::vector<Instance> instances;
    while (TRY(row.step())) instances.push_back(read_instance(row));
    return instances;
  });
}

Result<std::vector<Instance>> JobStore::active_instances() {
  return scans_.with([&](db::Database& database) -> Result<std::vector<Instance>> {
    auto row = database.prepare(fmt::format(
        "SELECT {} FROM instance WHERE job IN (SELECT name FROM job WHERE is_terminal = 0) "
        "ORDER BY job, attempt, host",
        kInstanceColumns));
    std::vector<Instance> instances;
    while (TRY(row.step())) instances.push_back(read_instance(row));
    return instances;
  });
}

Result<std::vector<Instance>> JobStore::finished_instances() {
  return scans_.with([&](db::Database& database) -> Result<std::vector<Instance>> {
    auto row = database.prepare(fmt::format(
        "SELECT {} FROM instance WHERE job IN (SELECT name FROM job WHERE is_terminal = 1)",
        kInstanceColumns));
    std::vector<Instance> instances;
    while (TRY(row.step())) instances.push_back(read_instance(row));
    return instances;
  });
}

Result<> JobStore::remove_instance(const Instance& instance) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    auto remove =
        database.prepare("DELETE FROM instance WHERE job = ? AND attempt = ? AND host = ?");
    return remove.bind(instance.job).bind(instance.attempt).bind(instance.host).run();
  });
}

Result<> JobStore::remove_instances(const std::string& job) {
  return committer_.commit([&](db::Database& database) -> Result<> {
    TRY(database.prepare("DELETE FROM instance WHERE job = ?").bind(job).run());
    TRY(delete_marked(database));
    return {};
  });
}

Result<std::optional<Instance>> JobStore::find_instance(const std::string& report_token) {
  return rows_.with([&](db::Database& database) -> Result<std::optional<Instance>> {
    auto row = database.prepare(
        fmt::format("SELECT {} FROM instance WHERE report_token = ?", kInstanceColumns));
    row.bind(report_token);
    if (!TRY(row.step())) return std::nullopt;
    return read_instance(row);
  });
}

Result<bool> JobStore::may_proceed(const Instance& instance) {
  return rows_.with([&](db::Database& database) -> Result<bool> {
    return jobs::may_proceed(TRY(members_of(database, instance)), instance.host);
  });
}

Result<> JobStore::take_event(db::Database& database, const Instance& instance,
                              const protocol::Event& reported) {
  Job job = TRY(find_job(database, instance.job));
  if (instance.attempt != job.attempt) return {};  // it lost its place
  auto members = TRY(members_of(database, instance));
  protocol::Event event = reported;
  event.outcome = in_the_gang(job, members, reported);
  TRY(note_stage(database, instance, event));
  members = TRY(members_of(database, instance));
  Time time = std::min(from_epoch_ms(event.time_ms), clock_.now());
  std::string message = is_leader(members, instance.host) ? event.message : "";
  if (event.kind == protocol::EventKind::progress) {
    return message.empty() ? Result<>() : set_message(database, job.name, message, time);
  }
  if (event.outcome == protocol::Outcome::failed) {
    Happening failure{JobEvent::failed,
                      time,
                      message,
                      name_host(members, instance.host, event.failure_reason),
                      event.has_artifacts,
                      event.diagnosis};
    // Nothing more comes of an attempt whose instance was lost.
    if (is_internal(failure)) return fail_or_begin_again(database, job, failure);
    TRY(note_failure(database, job, failure));
    job = TRY(find_job(database, job.name));
  }
  auto happened = job_event(members, event.kind);
  if (!happened) return {};
  bool is_stopped = *happened == JobEvent::stopped || *happened == JobEvent::completed;
  if (is_stopped && job.is_over_max_wait && status_of(job) == JobStatus::stopping) {
    happened = JobEvent::max_wait_time_exceeded;
  }
  TRY(move(database, job.name,
           {*happened, time, message, job.failing_reason, has_artifacts(members),
            job.failing_diagnosis}));
  return {};
}

Result<int64_t> JobStore::take_events(const Instance& instance,
                                      const std::vector<protocol::Event>& events) {
  auto write = [&](db::Database& database) -> Result<int64_t> {
    auto row = database.prepare(
        "SELECT acknowledged FROM instance WHERE job = ? AND attempt = ? AND host = ?");
    row.bind(instance.job).bind(instance.attempt).bind(instance.host);
    if (!TRY(row.step())) return fail(Code::not_found, "no such instance");
    int64_t acknowledged = row.integer(0);
    for (const protocol::Event& event : events) {
      if (event.sequence != acknowledged + 1) continue;
      acknowledged = event.sequence;
      TRY(take_event(database, instance, event));
    }
    auto update = database.prepare(
        "UPDATE instance SET acknowledged = ? WHERE job = ? AND attempt = ? AND host = ?");
    update.bind(acknowledged).bind(instance.job).bind(instance.attempt).bind(instance.host);
    TRY(update.run());
    return acknowledged;
  };
  return db::commit_for<int64_t>(committer_, write);
}

}  // namespace trainyard::jobs
