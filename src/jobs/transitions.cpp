// SPDX-License-Identifier: Apache-2.0
#include "jobs/transitions.hpp"

#include <algorithm>

#include "db/statement.hpp"

namespace trainyard::jobs {

namespace {

struct Position {
  Phase phase = Phase::starting;
  int64_t number = 0;  // of the last transition
  int64_t start_ms = 0;
};

Result<Position> position_of(db::Database& database, const std::string& job) {
  auto row = database.prepare(
      "SELECT phase, position, start_ms FROM transition WHERE job = ? "
      "ORDER BY position DESC LIMIT 1");
  row.bind(job);
  if (!TRY(row.step())) return fail(Code::not_found, "no training job '{}'", job);
  auto phase = parse_phase(row.text(0));
  if (!phase)
    return fail(Code::internal, "job '{}' is in the unknown phase '{}'", job, row.text(0));
  return Position{*phase, row.integer(1), row.integer(2)};
}

Result<> append(db::Database& database, const std::string& job, int64_t number, Phase phase,
                int64_t time_ms, std::string_view message) {
  auto insert = database.prepare("INSERT INTO transition VALUES (?, ?, ?, ?, ?, ?)");
  insert.bind(job).bind(number).bind(name(phase)).bind(time_ms);
  if (is_terminal(phase))
    insert.bind(time_ms);
  else
    insert.bind_null();
  return insert.bind(message).run();
}

Result<> update_job(db::Database& database, const std::string& job, Phase phase, int64_t time_ms) {
  auto update = database.prepare(
      "UPDATE job SET phase = ?, status = ?, is_terminal = ?, modified_ms = ? WHERE name = ?");
  update.bind(name(phase)).bind(api_name(status_of(phase))).bind(is_terminal(phase));
  TRY(update.bind(time_ms).bind(job).run());
  std::string_view column = is_terminal(phase) ? "training_end_ms" : "training_start_ms";
  if (phase != Phase::downloading && !is_terminal(phase)) return {};
  return database.prepare(fmt::format("UPDATE job SET {0} = ifnull({0}, ?) WHERE name = ?", column))
      .bind(time_ms)
      .bind(job)
      .run();
}

}  // namespace

Result<> begin_transitions(db::Database& database, const std::string& job, Time now) {
  return append(database, job, 0, kFirstPhase, to_epoch_ms(now), kFirstMessage);
}

Result<bool> move(db::Database& database, const std::string& job, const Happening& happening) {
  Position at = TRY(position_of(database, job));
  auto step = next(at.phase, happening.event);
  if (!step) return false;
  std::string message = happening.message.empty() ? std::string(step->message) : happening.message;
  // The agent's clock may be behind; times of one job never run backwards.
  int64_t time_ms = std::max(to_epoch_ms(happening.time), at.start_ms);
  if (step->phase == at.phase) {
    TRY(set_message(database, job, message, happening.time));
    return true;
  }
  auto end = database.prepare("UPDATE transition SET end_ms = ? WHERE job = ? AND position = ?");
  TRY(end.bind(time_ms).bind(job).bind(at.number).run());
  TRY(append(database, job, at.number + 1, step->phase, time_ms, message));
  TRY(update_job(database, job, step->phase, time_ms));
  if (is_terminal(step->phase)) {
    auto finish = database.prepare(
        "UPDATE job SET failure_reason = ?, diagnosis = ?, has_artifacts = ? WHERE name = ?");
    // A stopped job has no FailureReason, whatever its script said while it ended.
    bool is_failed = step->phase == Phase::failed;
    finish.bind(is_failed ? happening.failure_reason : std::string());
    finish.bind(is_failed ? happening.diagnosis : std::string());
    TRY(finish.bind(happening.has_artifacts).bind(job).run());
  }
  return true;
}

Result<> set_message(db::Database& database, const std::string& job, const std::string& message,
                     Time now) {
  Position at = TRY(position_of(database, job));
  if (is_terminal(at.phase)) return {};
  auto update =
      database.prepare("UPDATE transition SET message = ? WHERE job = ? AND position = ?");
  TRY(update.bind(message).bind(job).bind(at.number).run());
  auto touch = database.prepare("UPDATE job SET modified_ms = max(modified_ms, ?) WHERE name = ?");
  return touch.bind(to_epoch_ms(now)).bind(job).run();
}

}  // namespace trainyard::jobs
