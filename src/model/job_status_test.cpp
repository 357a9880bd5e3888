// SPDX-License-Identifier: Apache-2.0
#include "model/job_status.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.hpp"

namespace trainyard {

namespace {

std::string walk(std::initializer_list<JobEvent> events) {
  Phase phase = kFirstPhase;
  std::string path(api_name(phase));
  for (JobEvent event : events) {
    auto step = next(phase, event);
    if (!step) {
      path += " -";
      continue;
    }
    phase = step->phase;
    path += " " + std::string(api_name(phase));
  }
  return path + "/" + std::string(api_name(status_of(phase)));
}

}  // namespace

TEST(JobStatus, the_paths_of_the_contract) {
  using enum JobEvent;
  EXPECT_EQ(walk({downloading, training, uploading, completed}),
            "Starting Downloading Training Uploading Completed/Completed");
  EXPECT_EQ(walk({downloading, training, uploading, failed}),
            "Starting Downloading Training Uploading Failed/Failed");
  EXPECT_EQ(walk({downloading, training, stop_requested, uploading, stopped}),
            "Starting Downloading Training Stopping Uploading Stopped/Stopped");
  EXPECT_EQ(walk({downloading, training, stop_requested, uploading, max_runtime_exceeded}),
            "Starting Downloading Training Stopping Uploading MaxRuntimeExceeded/Stopped");
  EXPECT_EQ(walk({stop_requested, stopped}), "Starting Stopping Stopped/Stopped");
  EXPECT_EQ(walk({downloading, failed}), "Starting Downloading Failed/Failed");
}

TEST(JobStatus, terminal_jobs_never_move_and_repeated_events_do_nothing) {
  using enum JobEvent;
  EXPECT_EQ(walk({downloading, downloading, training, downloading, training}),
            "Starting Downloading - Training - -/InProgress");
  EXPECT_EQ(walk({stop_requested, stopped, completed, failed, stop_requested, training}),
            "Starting Stopping Stopped - - - -/Stopped");
}

TEST(JobStatus, names_round_trip) {
  for (int i = 0; i <= static_cast<int>(Phase::max_runtime_exceeded); ++i) {
    auto phase = static_cast<Phase>(i);
    EXPECT_EQ(parse_phase(name(phase)), phase);
  }
  EXPECT_FALSE(parse_phase("nowhere"));
}

// ACCEPT=1 rewrites the document.
TEST(JobStatus, the_document_shows_the_table) {
  fs::path document = fs::path(TRAINYARD_ROOT) / "doc/job-states.md";
  if (std::getenv("ACCEPT") != nullptr) {
    ASSERT_TRUE(write_file_atomically(document, job_states_as_markdown()));
  }
  EXPECT_EQ(read_file(document).value_or(""), job_states_as_markdown());
}

}  // namespace trainyard
