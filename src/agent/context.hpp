// SPDX-License-Identifier: Apache-2.0
// What the stages of a journey share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/journal.hpp"
#include "environments/builder.hpp"
#include "network/network.hpp"
#include "protocol/assignment.hpp"
#include "sandbox/sandbox.hpp"
#include "transfer/record_check.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::agent {

class Checkpoints;
class Runner;

struct Context {
  const protocol::Assignment& assignment;
  fs::path folder;   // of this instance: assignment, journal, log, and what follows
  fs::path program;  // this trainyard
  Journal& journal;
  std::stop_token stop;  // StopTrainingJob, or the job became obsolete
  const Clock& clock;

  sandbox::Isolation isolation = sandbox::Isolation::sandbox;
  fs::path ml{};                              // becomes /opt/ml
  std::string shown_ml = "/opt/ml";           // where the script sees it
  Fd ml_lease{};                              // process isolation: /opt/ml is ours while it is held
  std::optional<network::Network> network{};  // of the job, once it is there; else the host's
  environments::Recipe recipe{};
  environments::Environment environment{};
  fs::path layer{};  // the job's own virtual environment
  bool is_stopped_by_time = false;
  std::vector<transfer::NamedFile> unchecked_records{};  // see record_check.hpp
  std::string diagnosis{};                               // of a script that failed, for people
  std::atomic<bool> is_interrupted = false;  // the instance is taken away; set before `stop`
  std::atomic<bool> is_given_up = false;     // another instance failed; set before `stop`
  // Returns when the job's other instances have come as far; false: they never will, or the stop
  // token given was asked. Requires: the event that says how far has been added to the journal.
  std::function<bool(const std::stop_token&)> await_others = {};
  std::shared_ptr<Checkpoints> checkpoints = {};  // null: the job has no CheckpointConfig
  std::shared_ptr<Runner> runner = {};            // never null

  bool has_peers() const { return assignment.hosts.size() > 1; }
  bool is_leader() const { return assignment.host == assignment.hosts.front(); }
  fs::path log_file() const { return folder / "log"; }
  // Appends a line of the platform to the job's log.
  void say(std::string_view line) const;
  transfer::S3Access s3_access(const std::string& bucket) const;  // to where the bucket lives
  environments::Builder builder() const;
  // Its image runs as it is: nothing is prepared for a managed environment.
  bool is_in_container() const { return !assignment.host_settings.container.docker.empty(); }
  // The user that the job's processes run as behind walls; 0: the one that we are.
  uint32_t job_user() const;
};

// The prefixes that clients look for: contract.md E.1. A failure whose message has none of them is
// our own fault and becomes an InternalServerError.
inline Failure algorithm_error(std::string text) {
  return Failure(Error{Code::invalid, "AlgorithmError: " + std::move(text)});
}
inline Failure client_error(std::string text) {
  return Failure(Error{Code::invalid, "ClientError: " + std::move(text)});
}

}  // namespace trainyard::agent
