// SPDX-License-Identifier: Apache-2.0
// Moves a job along the status table, in the database. Internal to jobs/.
#pragma once

#include <string>

#include "base/clock.hpp"
#include "db/database.hpp"
#include "model/job_status.hpp"

namespace trainyard::jobs {

struct Happening {
  JobEvent event = JobEvent::preparing;
  Time time;
  std::string message;  // empty: the table's
  std::string failure_reason;
  bool has_artifacts = false;
  std::string diagnosis = {};
};

// Appends the first transition. Requires: a transaction, a new job row.
Result<> begin_transitions(db::Database& database, const std::string& job, Time now);

// False where the event leads nowhere. Requires: a transaction. `not_found`: no such job.
Result<bool> move(db::Database& database, const std::string& job, const Happening& happening);

// Replaces the StatusMessage of the phase the job is in.
Result<> set_message(db::Database& database, const std::string& job, const std::string& message,
                     Time now);

}  // namespace trainyard::jobs
