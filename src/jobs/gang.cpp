// SPDX-License-Identifier: Apache-2.0
#include "jobs/gang.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::jobs {

namespace {

using protocol::EventKind;
using protocol::Outcome;

constexpr std::array<std::string_view, 7> kStages = {
    "", "preparing", "downloading", "ready", "training", "uploading", "finished"};
constexpr size_t kMaxFailureReason = 1024;  // DescribeTrainingJob, FailureReason

bool are_all(const Members& members, Stage stage) {
  return std::all_of(members.begin(), members.end(),
                     [&](const Member& member) { return member.stage >= stage; });
}

// When all have finished; a failure has been noted before (Job::failing_reason) and comes first.
JobEvent end_of(const Members& members) {
  constexpr std::array<std::pair<Outcome, JobEvent>, 4> kOrder = {
      {{Outcome::failed, JobEvent::failed},
       {Outcome::max_runtime_exceeded, JobEvent::max_runtime_exceeded},
       {Outcome::interrupted, JobEvent::interrupted},
       {Outcome::stopped, JobEvent::stopped}}};
  for (const auto& [outcome, event] : kOrder) {
    bool is_any = std::any_of(members.begin(), members.end(),
                              [&](const Member& member) { return member.outcome == outcome; });
    if (is_any) return event;
  }
  return JobEvent::completed;
}

}  // namespace

std::optional<Stage> stage_of(EventKind kind) {
  switch (kind) {
    case EventKind::preparing:
      return Stage::preparing;
    case EventKind::downloading:
      return Stage::downloading;
    case EventKind::ready:
      return Stage::ready;
    case EventKind::training:
      return Stage::training;
    case EventKind::uploading:
      return Stage::uploading;
    case EventKind::finished:
      return Stage::finished;
    case EventKind::progress:
    case EventKind::stopping:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view name(Stage stage) {
  return kStages[static_cast<size_t>(stage)];
}

Stage parse_stage(std::string_view name) {
  const auto* found = std::find(kStages.begin(), kStages.end(), name);
  return found == kStages.end() ? Stage::none : static_cast<Stage>(found - kStages.begin());
}

std::optional<JobEvent> job_event(const Members& members, EventKind kind) {
  switch (kind) {
    case EventKind::preparing:
      return JobEvent::preparing;
    case EventKind::downloading:
      return JobEvent::downloading;
    case EventKind::training:
      return JobEvent::training;
    case EventKind::stopping:
      return JobEvent::stop_requested;
    case EventKind::ready:
    case EventKind::progress:
      return std::nullopt;
    case EventKind::uploading:
      return are_all(members, Stage::uploading) ? std::optional(JobEvent::uploading) : std::nullopt;
    case EventKind::finished:
      return are_all(members, Stage::finished) ? std::optional(end_of(members)) : std::nullopt;
  }
  return std::nullopt;
}

bool is_leader(const Members& members, const std::string& host) {
  return !members.empty() && members.front().host == host;
}

bool has_artifacts(const Members& members) {
  return !members.empty() && members.front().has_artifacts;
}

bool may_proceed(const Members& members, const std::string& host) {
  auto me = std::find_if(members.begin(), members.end(),
                         [&](const Member& member) { return member.host == host; });
  if (me == members.end()) return false;
  if (me->stage == Stage::ready) return are_all(members, Stage::ready);
  if (me->stage != Stage::uploading || !is_leader(members, host)) return false;
  return are_all({members.begin() + 1, members.end()}, Stage::finished);
}

std::string name_host(const Members& members, const std::string& host, std::string reason) {
  if (members.size() < 2) return reason;
  std::string where =
      fmt::format(" ({} was the first of {} instances to fail)", host, members.size());
  return cut_middle(reason, kMaxFailureReason - where.size()) + where;
}

}  // namespace trainyard::jobs
