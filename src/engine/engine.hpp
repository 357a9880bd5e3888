// SPDX-License-Identifier: Apache-2.0
// An engine starts the hosts of a training job, watches them, stops them and finds them again after
// a restart of the server. It knows nothing of statuses: those come from the agents' reports.
// Every engine passes the suite in contract_suite.hpp. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::engine {

// Names one started instance, for as long as it exists and across restarts of the server. The text
// is the engine's own; others store and return it.
struct Handle {
  std::string text;
};

enum class InstanceState {
  starting,  // accepted by the engine, not yet running: a queue, an image pull
  running,
  gone,  // its process ended, however, or nobody knows it
};

struct Capabilities {
  std::string name;           // "local"
  int max_instances_per_job;  // 0: no limit
};

// An instance that recover() found.
struct Found {
  std::string job_name;
  int64_t attempt = 0;
  std::string host;
  Handle handle;
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual Capabilities capabilities() const = 0;

  // Starts the instance that runs an agent with this assignment; HostSettings are filled in by the
  // engine. Starting the same (job, attempt, host) again while it lives returns its handle; when
  // its agent is gone a new agent is started on the same folder and takes over where the other
  // left. `exhausted`: no capacity now; `unavailable`: try again; others: it can never work.
  virtual Result<Handle> start(const protocol::Assignment& assignment) = 0;

  virtual Result<InstanceState> inspect(const Handle& handle) = 0;

  // Asks the agent to end the script with grace (SIGTERM, 120 s, SIGKILL), upload and report.
  // Returns at once; asking twice, or one that is gone, is fine.
  virtual Result<> stop(const Handle& handle) = 0;

  // Ends everything that is left of the instance, at once, and frees what it held, its folder too.
  virtual Result<> remove(const Handle& handle) = 0;

  // All instances of this service that exist, running or dead but not removed.
  virtual Result<std::vector<Found>> recover() = 0;
};

}  // namespace trainyard::engine
