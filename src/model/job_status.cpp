// SPDX-License-Identifier: Apache-2.0
#include "model/job_status.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace trainyard {

namespace {

struct Row {
  Phase from;
  JobEvent event;
  Step to;
};

constexpr std::string_view kPreparing = "Preparing the instances for training";
constexpr std::string_view kDownloading = "Downloading input data";
constexpr std::string_view kTraining = "Training image download completed. Training in progress.";
constexpr std::string_view kUploading = "Uploading generated training model";
constexpr std::string_view kStopping = "Stopping the training job";
constexpr std::string_view kCompleted = "Training job completed";
constexpr std::string_view kFailed = "Training job failed";
constexpr std::string_view kStopped = "Training job stopped";
constexpr std::string_view kMaxRuntime =
    "Training job runtime exceeded MaxRuntimeInSeconds provided";

constexpr std::string_view kQueued = "Waiting for capacity";
constexpr std::string_view kMaxWait = "Training job exceeded MaxWaitTimeInSeconds provided";
constexpr std::string_view kInterrupted = "Training job interrupted";
constexpr std::string_view kReplacing = "Launched instance was unhealthy, replacing it!";

constexpr std::array kTable = {
    Row{Phase::starting, JobEvent::preparing, {Phase::starting, kPreparing}},
    Row{Phase::starting, JobEvent::downloading, {Phase::downloading, kDownloading}},
    Row{Phase::starting, JobEvent::stop_requested, {Phase::stopping, kStopping}},
    Row{Phase::starting, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::starting, JobEvent::stopped, {Phase::stopped, kStopped}},

    Row{Phase::starting, JobEvent::queued, {Phase::pending, kQueued}},
    Row{Phase::pending, JobEvent::queued, {Phase::pending, kQueued}},
    Row{Phase::pending, JobEvent::preparing, {Phase::starting, kPreparing}},
    Row{Phase::pending, JobEvent::downloading, {Phase::downloading, kDownloading}},
    Row{Phase::pending, JobEvent::stop_requested, {Phase::stopping, kStopping}},
    Row{Phase::pending, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::pending, JobEvent::stopped, {Phase::stopped, kStopped}},
    Row{Phase::pending, JobEvent::interrupted, {Phase::interrupted, kInterrupted}},
    Row{Phase::pending, JobEvent::restarted, {Phase::starting, kReplacing}},
    Row{Phase::pending,
        JobEvent::max_wait_time_exceeded,
        {Phase::max_wait_time_exceeded, kMaxWait}},

    Row{Phase::downloading, JobEvent::training, {Phase::training, kTraining}},
    Row{Phase::downloading, JobEvent::stop_requested, {Phase::stopping, kStopping}},
    Row{Phase::downloading, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::downloading, JobEvent::stopped, {Phase::stopped, kStopped}},

    Row{Phase::training, JobEvent::uploading, {Phase::uploading, kUploading}},
    Row{Phase::training, JobEvent::stop_requested, {Phase::stopping, kStopping}},
    Row{Phase::training, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::training, JobEvent::stopped, {Phase::stopped, kStopped}},

    Row{Phase::uploading, JobEvent::stop_requested, {Phase::stopping, kStopping}},
    Row{Phase::uploading, JobEvent::completed, {Phase::completed, kCompleted}},
    Row{Phase::uploading, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::uploading, JobEvent::stopped, {Phase::stopped, kStopped}},

    Row{Phase::stopping, JobEvent::uploading, {Phase::uploading_stopped, kUploading}},
    // The script had ended by itself when the stop came.
    Row{Phase::stopping, JobEvent::completed, {Phase::stopped, kStopped}},
    Row{Phase::stopping, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::stopping, JobEvent::stopped, {Phase::stopped, kStopped}},
    Row{Phase::stopping,
        JobEvent::max_runtime_exceeded,
        {Phase::max_runtime_exceeded, kMaxRuntime}},

    Row{Phase::stopping,
        JobEvent::max_wait_time_exceeded,
        {Phase::max_wait_time_exceeded, kMaxWait}},

    Row{Phase::uploading_stopped, JobEvent::completed, {Phase::stopped, kStopped}},
    Row{Phase::uploading_stopped, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::uploading_stopped, JobEvent::stopped, {Phase::stopped, kStopped}},
    Row{Phase::uploading_stopped,
        JobEvent::max_runtime_exceeded,
        {Phase::max_runtime_exceeded, kMaxRuntime}},
    Row{Phase::uploading_stopped,
        JobEvent::max_wait_time_exceeded,
        {Phase::max_wait_time_exceeded, kMaxWait}},

    // Managed spot (contract.md J.5), and RetryStrategy.
    Row{Phase::starting, JobEvent::interrupted, {Phase::interrupted, kInterrupted}},
    Row{Phase::downloading, JobEvent::interrupted, {Phase::interrupted, kInterrupted}},
    Row{Phase::training, JobEvent::interrupted, {Phase::interrupted, kInterrupted}},
    // Stopped while the interruption was under way: the stop wins.
    Row{Phase::stopping, JobEvent::interrupted, {Phase::stopped, kStopped}},
    Row{Phase::interrupted, JobEvent::restarted, {Phase::starting, kFirstMessage}},
    Row{Phase::interrupted, JobEvent::stop_requested, {Phase::stopping, kStopping}},
    Row{Phase::interrupted,
        JobEvent::max_wait_time_exceeded,
        {Phase::max_wait_time_exceeded, kMaxWait}},
    Row{Phase::interrupted, JobEvent::failed, {Phase::failed, kFailed}},
    Row{Phase::starting,
        JobEvent::max_wait_time_exceeded,
        {Phase::max_wait_time_exceeded, kMaxWait}},
    Row{Phase::starting, JobEvent::restarted, {Phase::starting, kReplacing}},
    Row{Phase::downloading, JobEvent::restarted, {Phase::starting, kReplacing}},
    Row{Phase::training, JobEvent::restarted, {Phase::starting, kReplacing}},
    Row{Phase::uploading, JobEvent::restarted, {Phase::starting, kReplacing}},
};

struct PhaseNames {
  std::string_view name;
  std::string_view api;
  JobStatus status;
};

// In the order of the enum.
constexpr std::array kPhases = {
    PhaseNames{"starting", "Starting", JobStatus::in_progress},
    PhaseNames{"downloading", "Downloading", JobStatus::in_progress},
    PhaseNames{"training", "Training", JobStatus::in_progress},
    PhaseNames{"uploading", "Uploading", JobStatus::in_progress},
    PhaseNames{"stopping", "Stopping", JobStatus::stopping},
    PhaseNames{"uploading_stopped", "Uploading", JobStatus::stopping},
    PhaseNames{"completed", "Completed", JobStatus::completed},
    PhaseNames{"failed", "Failed", JobStatus::failed},
    PhaseNames{"stopped", "Stopped", JobStatus::stopped},
    PhaseNames{"max_runtime_exceeded", "MaxRuntimeExceeded", JobStatus::stopped},
    PhaseNames{"max_wait_time_exceeded", "MaxWaitTimeExceeded", JobStatus::stopped},
    PhaseNames{"interrupted", "Interrupted", JobStatus::in_progress},
    PhaseNames{"pending", "Pending", JobStatus::in_progress},
};
constexpr std::array<std::string_view, 6> kStatuses = {"InProgress", "Completed", "Failed",
                                                       "Stopping",   "Stopped",   "Deleting"};
constexpr std::array<std::string_view, 13> kEvents = {"preparing",
                                                      "downloading",
                                                      "training",
                                                      "uploading",
                                                      "stop_requested",
                                                      "completed",
                                                      "failed",
                                                      "stopped",
                                                      "max_runtime_exceeded",
                                                      "max_wait_time_exceeded",
                                                      "interrupted",
                                                      "restarted",
                                                      "queued"};

const PhaseNames& names(Phase phase) {
  return kPhases[static_cast<size_t>(phase)];
}

}  // namespace

std::optional<Step> next(Phase phase, JobEvent event) {
  for (const Row& row : kTable) {
    if (row.from == phase && row.event == event) return row.to;
  }
  return std::nullopt;
}

JobStatus status_of(Phase phase) {
  return names(phase).status;
}

bool is_terminal(Phase phase) {
  JobStatus status = status_of(phase);
  return status != JobStatus::in_progress && status != JobStatus::stopping;
}

std::string_view api_name(Phase phase) {
  return names(phase).api;
}
std::string_view api_name(JobStatus status) {
  return kStatuses[static_cast<size_t>(status)];
}
std::string_view name(Phase phase) {
  return names(phase).name;
}

std::optional<Phase> parse_phase(std::string_view name) {
  for (size_t i = 0; i < kPhases.size(); ++i) {
    if (kPhases[i].name == name) return static_cast<Phase>(i);
  }
  return std::nullopt;
}

std::optional<JobStatus> parse_job_status(std::string_view api_name) {
  for (size_t i = 0; i < kStatuses.size(); ++i) {
    if (kStatuses[i] == api_name) return static_cast<JobStatus>(i);
  }
  return std::nullopt;
}

std::string job_states_as_markdown() {
  std::string text =
      "# States of a training job\n\nWritten by a test from `src/model/job_status.cpp`.\n\n"
      "| phase | event | next phase | SecondaryStatus | TrainingJobStatus | StatusMessage |\n"
      "|---|---|---|---|---|---|\n";
  for (const Row& row : kTable) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", name(row.from),
                        kEvents[static_cast<size_t>(row.event)], name(row.to.phase),
                        api_name(row.to.phase), api_name(status_of(row.to.phase)), row.to.message);
  }
  return text;
}

}  // namespace trainyard
