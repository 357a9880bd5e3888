// SPDX-License-Identifier: Apache-2.0
// CheckpointConfig (contract.md J.2): what lies in S3 is restored before the script starts, and
// what the script saves goes up while it runs. A newer attempt of the job has other credentials:
// one that lost its place cannot overwrite anything.
#pragma once

#include <memory>
#include <thread>

#include "agent/checkpoint_plan.hpp"
#include "agent/context.hpp"

namespace trainyard::agent {

class Checkpoints {
 public:
  // Requires: the assignment has a checkpoint target. The context must outlive this.
  explicit Checkpoints(const Context& context);

  // Where the script sees the files, without a slash at the end, and where they lie on this host.
  static std::string shown_path(const Context& context);
  static fs::path folder_of(const Context& context);

  // Downloads everything below the target; fails the job where that cannot be done.
  Result<> restore();

  // For an agent that follows a killed one: what lies in S3 may be older than what is here.
  Result<> take_over();

  // Syncs every second, from a thread of its own, until finish().
  void start();

  // The last sync, when nothing of the script runs any more.
  Result<> finish(Moment moment);

 private:
  Result<> sync(Moment moment);
  Result<> carry_out(const SyncPlan& plan, const SyncState& state);
  Result<> set_target();
  Result<> remember_restored();
  S3Uri object_of(const std::string& path) const;

  const Context& context_;
  fs::path folder_;
  S3Uri target_;
  transfer::S3Client client_;
  // Between rounds; used by one thread at a time: the syncing one, then finish().
  Files before_;
  Files uploaded_;
  std::map<std::string, std::string> uploaded_heads_;
  std::string last_error_;
  std::jthread thread_;
};

}  // namespace trainyard::agent
