// SPDX-License-Identifier: Apache-2.0
// Training jobs on disk: what was asked, where each job is, its transitions, and the instances it
// runs on. What a call acknowledged survives a power cut. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/guarded.hpp"
#include "base/result.hpp"
#include "db/committer.hpp"
#include "db/database.hpp"
#include "model/job_status.hpp"
#include "protocol/report.hpp"

namespace trainyard::jobs {

// One visit of a phase, with the last StatusMessage of that visit.
struct Transition {
  Phase phase = Phase::starting;
  Time start;
  std::optional<Time> end;
  std::string message;
};

// A job's own key, valid until the job is terminal.
struct JobCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;
};

JobCredentials make_credentials();

struct NewJob {
  std::string name;
  std::string arn;
  std::string request;     // CreateTrainingJob's JSON, for Describe
  std::string assignment;  // protocol::Assignment without server and host, JSON
  std::string tags;        // JSON list, as the client sent it
  JobCredentials credentials;
  std::string notices = "[]";  // JSON list of texts: what has no effect here
  int64_t max_retries = 0;     // after an InternalServerError
  bool is_spot = false;
  std::optional<int64_t> max_wait_seconds = {};  // from creation to end, of a spot job
};

struct Job {
  std::string name;
  std::string arn;
  Phase phase = Phase::starting;
  Time created;
  Time modified;
  std::optional<Time> training_start;  // entry into Downloading
  std::optional<Time> training_end;    // entry into the terminal phase
  std::string request;
  std::string assignment;
  std::string tags;
  std::string failure_reason;  // empty: none
  std::string diagnosis;       // all that is known about the failure; empty: none
  bool has_artifacts = false;
  bool is_deleting = false;
  std::string notices;
  int64_t attempt = 1;  // the one that counts; instances of others are obsolete
  int64_t max_retries = 0;
  std::optional<int64_t> max_wait_seconds;
  bool is_spot = false;
  bool is_interrupting = false;   // its instance is to be taken away
  bool is_over_max_wait = false;  // the stop that is under way ends in MaxWaitTimeExceeded
  std::string failing_reason;     // an instance failed and the others are being ended; empty: none
  std::string failing_diagnosis;
  JobCredentials credentials;
  std::vector<Transition> transitions;  // only from find()
};

JobStatus status_of(const Job& job);

// One instance of one attempt. The row is written before its start, the handle after it.
struct Instance {
  std::string job;
  int64_t attempt = 1;
  std::string host;
  std::string handle;  // empty: not started, or the start was not confirmed
  std::string report_token;
  int64_t acknowledged_sequence = 0;
  Time created{};
  bool is_finished = false;     // its agent has reported the end and may be gone
  std::vector<int64_t> gpus{};  // numbers of the host's GPUs that it alone uses
};

enum class SortBy { name, created, status };

struct JobQuery {
  std::string name_contains;
  std::string training_plan_arn;  // of the request's ResourceConfig; empty: any
  std::optional<JobStatus> status;
  std::optional<Time> created_after, created_before, modified_after, modified_before;
  SortBy sort_by = SortBy::created;
  bool is_descending = false;
  size_t limit = 10;
  std::string token;  // of the page before; empty: the first page
};

// What a list says of a job.
struct ListedJob {
  std::string name;
  std::string arn;
  Phase phase = Phase::starting;
  JobStatus status = JobStatus::in_progress;
  Time created;
  Time modified;
  std::optional<Time> training_end;  // entry into the terminal phase
};

struct JobPage {
  std::vector<ListedJob> jobs;
  std::string next_token;  // empty: the last page
};

class JobStore {
 public:
  // The clock must outlive the store.
  static Result<std::unique_ptr<JobStore>> open(const fs::path& file, const Clock& clock);

  // `conflict`: the name is in use.
  Result<> create(const NewJob& job);
  Result<Job> find(const std::string& name);  // not_found
  // The same without transitions; one that differs only in case will do.
  Result<Job> find_ignoring_case(const std::string& name);
  // `invalid`: a token that is not ours.
  Result<JobPage> list(const JobQuery& query);

  // All jobs, oldest first.
  Result<std::vector<Job>> all();

  // Lets `edit` change the job's request, assignment and tags, in one transaction.
  Result<> change(const std::string& name, const std::function<Result<>(Job&)>& edit);

  // Deletes a terminal job and what belongs to it; `conflict` for others. While the job still has
  // instances it is only marked: remove_instances() deletes it then.
  Result<> remove(const std::string& name);

  // Jobs that are not terminal, oldest first, without the texts that may be long (request,
  // assignment, tags, notices, diagnosis) and without credentials.
  Result<std::vector<Job>> active();

  // Moves the job by the status table; false where the event leads nowhere. `message` replaces the
  // table's own when it is not empty.
  Result<bool> apply(const std::string& name, JobEvent event, const std::string& message = {},
                     const std::string& failure_reason = {});

  // A failure that is not the job's own: the next attempt begins where retries are left, else the
  // job fails with the reason.
  Result<> fail_or_retry(const std::string& name, const std::string& failure_reason);

  // A spot job's instance is to be taken away; `invalid` for other jobs and for one without a
  // running attempt.
  Result<> interrupt(const std::string& name);
  // After an interruption: the next attempt, with credentials of its own.
  Result<> restart(const std::string& name);
  // The time of a spot job is over: stops it.
  Result<> exceed_max_wait(const std::string& name);

  // A key that belongs to a job which is not terminal.
  Result<std::optional<JobCredentials>> find_credentials(const std::string& access_key);

  Result<> add_instances(const std::vector<Instance>& instances);
  // `instances` with the handles that they have now.
  Result<> set_handles(const std::vector<Instance>& instances);
  // In the order of attempts and hosts.
  Result<std::vector<Instance>> instances(const std::string& job);
  // Of all jobs that are not terminal, in the same order within each.
  Result<std::vector<Instance>> active_instances();
  // Of jobs that are terminal: to be removed.
  Result<std::vector<Instance>> finished_instances();
  Result<> remove_instances(const std::string& job);
  Result<> remove_instance(const Instance& instance);
  Result<std::optional<Instance>> find_instance(const std::string& report_token);
  // Whether the others of its attempt have come as far: protocol::ReportAnswer::may_proceed.
  Result<bool> may_proceed(const Instance& instance);

  // Applies the events that are new to this instance, in order, in one transaction with the
  // acknowledged sequence. Events of a terminal job are acknowledged and change nothing.
  Result<int64_t> take_events(const Instance& instance, const std::vector<protocol::Event>& events);

 private:
  Result<> take_event(db::Database& database, const Instance& instance,
                      const protocol::Event& reported);

  JobStore(const Clock& clock, db::Database writer, db::Database rows, db::Database lists,
           db::Database scans)
      : clock_(clock),
        committer_(std::move(writer)),
        rows_(std::move(rows)),
        lists_(std::move(lists)),
        scans_(std::move(scans)) {}

  const Clock& clock_;
  db::Committer<Result<>> committer_;
  // Connections of their own, so that nobody who reads waits for the disk, and nobody who asks for
  // a row or a page for one who looks at all jobs.
  Guarded<db::Database> rows_;
  Guarded<db::Database> lists_;
  Guarded<db::Database> scans_;
};

}  // namespace trainyard::jobs
