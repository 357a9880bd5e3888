// SPDX-License-Identifier: Apache-2.0
// Tables of server.db. Internal to jobs/.
#pragma once

#include <array>
#include <string_view>

namespace trainyard::jobs {

inline constexpr std::array<std::string_view, 7> kMigrations = {
    R"sql(
CREATE TABLE job (
  name           TEXT PRIMARY KEY,
  arn            TEXT NOT NULL,
  phase          TEXT NOT NULL,          -- model/job_status.hpp
  status         TEXT NOT NULL,          -- TrainingJobStatus that follows from it
  is_terminal    INTEGER NOT NULL,
  created_ms     INTEGER NOT NULL,
  modified_ms    INTEGER NOT NULL,
  training_start_ms INTEGER,
  training_end_ms   INTEGER,
  request        TEXT NOT NULL,
  assignment     TEXT NOT NULL,
  tags           TEXT NOT NULL,
  failure_reason TEXT NOT NULL DEFAULT '',
  has_artifacts  INTEGER NOT NULL DEFAULT 0,
  access_key     TEXT NOT NULL UNIQUE,
  secret_key     TEXT NOT NULL,
  session_token  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX job_created ON job (created_ms, name);
CREATE INDEX job_active ON job (created_ms) WHERE is_terminal = 0;

CREATE TABLE transition (
  job      TEXT NOT NULL REFERENCES job (name) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  phase    TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms   INTEGER,
  message  TEXT NOT NULL,
  PRIMARY KEY (job, position)
) WITHOUT ROWID;

CREATE TABLE instance (
  job          TEXT NOT NULL REFERENCES job (name) ON DELETE CASCADE,
  attempt      INTEGER NOT NULL,
  host         TEXT NOT NULL,
  handle       TEXT NOT NULL,
  report_token TEXT NOT NULL UNIQUE,
  acknowledged INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job, attempt, host)
) WITHOUT ROWID;
)sql",
    R"sql(
ALTER TABLE job ADD COLUMN is_deleting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';  -- JSON list of texts
)sql",
    R"sql(
ALTER TABLE job ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job ADD COLUMN max_retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN max_wait_seconds INTEGER;           -- of a spot job
ALTER TABLE job ADD COLUMN is_spot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN is_interrupting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN is_over_max_wait INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instance ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
ALTER TABLE job ADD COLUMN diagnosis TEXT NOT NULL DEFAULT '';
)sql",
    R"sql(
-- Of the first instance that failed, while the others of its job are being ended.
ALTER TABLE job ADD COLUMN failing_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN failing_diagnosis TEXT NOT NULL DEFAULT '';
ALTER TABLE instance ADD COLUMN stage TEXT NOT NULL DEFAULT '';    -- jobs/gang.hpp
ALTER TABLE instance ADD COLUMN outcome TEXT NOT NULL DEFAULT '';  -- protocol::Outcome, at the end
ALTER TABLE instance ADD COLUMN has_artifacts INTEGER NOT NULL DEFAULT 0;
)sql",
    // All that a page of a list shows: each step down the table itself, whose rows are too long for
    // its pages, would put a row together.
    R"sql(
CREATE INDEX job_listed
  ON job (created_ms, name, arn, phase, status, modified_ms, training_end_ms);
DROP INDEX job_created;
)sql",
    R"sql(
ALTER TABLE instance ADD COLUMN gpus TEXT NOT NULL DEFAULT '';  -- numbers: "0,3"
)sql"};

}  // namespace trainyard::jobs
