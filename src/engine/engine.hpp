// SPDX-License-Identifier: Apache-2.0
// An engine starts the hosts of a training job, watches them, stops them and finds them again after
// a restart of the server. It knows nothing of statuses: those come from the agents' reports.
// Every engine passes the suite in contract_suite.hpp; doc/engines.md tells it in words.
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::engine {

// The instances of one job and attempt that are to run together: all of them at first, later those
// whose agents have not reported their end. In the order of Assignment::hosts.
struct Gang {
  std::vector<protocol::Assignment> instances;
};

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

struct Inspection {
  InstanceState state = InstanceState::gone;
  std::string reason = {};  // for people: why it still waits, or how it went; may be empty
};

struct Capabilities {
  std::string name;  // "local"
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

  // Starts all instances of the gang, each with an agent and its assignment, or none: after a
  // failure nothing that this call started is left. HostSettings are filled in by the engine.
  // Starting the same (job, attempt, host) again while it lives returns its handle; when its agent
  // is gone a new agent is started on the same folder and takes over where the other left. Handles
  // are in the gang's order. `exhausted`: no capacity now; `unavailable`: try again; others: it can
  // never work.
  virtual Result<std::vector<Handle>> start(const Gang& gang) = 0;

  virtual Result<Inspection> inspect(const Handle& handle) = 0;

  // Asks the agent to end the script with grace (SIGTERM, 120 s, SIGKILL), upload and report.
  // Returns at once; asking twice, or one that is gone, is fine.
  virtual Result<> stop(const Handle& handle) = 0;

  // Ends everything that is left of the instance, at once, and frees what it held, its folder too.
  // With the attempt's last instance goes what all of them shared.
  virtual Result<> remove(const Handle& handle) = 0;

  // All instances of this service that exist, running or dead but not removed.
  virtual Result<std::vector<Found>> recover() = 0;
};

}  // namespace trainyard::engine
