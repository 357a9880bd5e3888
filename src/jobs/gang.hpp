// SPDX-License-Identifier: Apache-2.0
// What the instances of one attempt, each reporting for itself, mean for their job. The first host
// leads: its messages are the job's, and it uploads the model after all others have handed theirs
// over. Pure; internal to jobs/.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/job_status.hpp"
#include "protocol/report.hpp"

namespace trainyard::jobs {

// How far an instance is: the furthest of these that it reported.
enum class Stage { none, preparing, downloading, ready, training, uploading, finished };

struct Member {
  std::string host;
  Stage stage = Stage::none;
  std::optional<protocol::Outcome> outcome;  // once finished
  bool has_artifacts = false;
};

using Members = std::vector<Member>;  // hosts in their order: algo-1, algo-2, algo-10

// Where the event brings its instance; nullopt: it stays where it is.
std::optional<Stage> stage_of(protocol::EventKind kind);
std::string_view name(Stage stage);
Stage parse_stage(std::string_view name);  // Stage::none for an unknown one

// What an event of one member, which the members show already, is for the job; nullopt: nothing
// yet, others must come as far.
std::optional<JobEvent> job_event(const Members& members, protocol::EventKind kind);

bool is_leader(const Members& members, const std::string& host);
bool has_artifacts(const Members& members);
// protocol::ReportAnswer::may_proceed
bool may_proceed(const Members& members, const std::string& host);

// Says which of several instances it was, behind what clients match.
std::string name_host(const Members& members, const std::string& host, std::string reason);

}  // namespace trainyard::jobs
