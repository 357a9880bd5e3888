// SPDX-License-Identifier: Apache-2.0
// The life of a training job as one table: (where it is, what happened) -> where it is then.
// Messages and names: contract.md D.
//
//   starting <-> pending: no room for it yet
//   starting -> downloading -> training -> uploading -> completed | failed
//      |            |             |           |
//      +------------+-------------+-----------+--> stopping -> uploading_stopped -> stopped
//      ^            |             |
//      +-- interrupted <----------+     and straight back to starting for a retry
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

// TrainingJobStatus
// `deleting` is no phase's: a job that has ended keeps its phase until it is gone.
enum class JobStatus { in_progress, completed, failed, stopping, stopped, deleting };

// SecondaryStatus; uploading_stopped is sent as Uploading, too, but leads to Stopped.
enum class Phase {
  starting,
  downloading,
  training,
  uploading,
  stopping,
  uploading_stopped,
  completed,
  failed,
  stopped,
  max_runtime_exceeded,
  max_wait_time_exceeded,
  interrupted,  // the instance was taken away; the next attempt follows
  pending,      // waits for capacity
};

enum class JobEvent {
  preparing,  // an instance is up
  downloading,
  training,
  uploading,
  stop_requested,  // by a client, or by the agent at the time limit
  completed,
  failed,  // with a FailureReason
  stopped,
  max_runtime_exceeded,
  max_wait_time_exceeded,  // a spot job's time is over
  interrupted,             // a spot instance was taken away
  restarted,               // the next attempt begins
  queued,                  // there is no room for it now
};

struct Step {
  Phase phase;
  std::string_view message;  // StatusMessage
};

// Where `event` leads from `phase`; nullopt: nowhere, it is late or repeated.
std::optional<Step> next(Phase phase, JobEvent event);

constexpr Phase kFirstPhase = Phase::starting;
constexpr std::string_view kFirstMessage = "Starting the training job";

JobStatus status_of(Phase phase);
bool is_terminal(Phase phase);

// Both API spellings: "Downloading", "InProgress".
std::string_view api_name(Phase phase);
std::string_view api_name(JobStatus status);
// Unique per phase, for storage: "uploading_stopped".
std::string_view name(Phase phase);
std::optional<Phase> parse_phase(std::string_view name);
std::optional<JobStatus> parse_job_status(std::string_view api_name);

// The whole table as Markdown, for doc/job-states.md.
std::string job_states_as_markdown();

}  // namespace trainyard
