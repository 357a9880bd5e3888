// SPDX-License-Identifier: Apache-2.0
// Which network the jobs of this machine get: one of their own (network/) where that works, or the
// host's. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/guarded.hpp"
#include "base/result.hpp"

namespace trainyard::engine {

struct NetworkChoice {
  bool is_own = false;
  std::string why_not;  // where it is not, though it was not asked for that: for people
};

class JobNetworks {
 public:
  // `setting`: auto, own, host; elsewhere: another engine gives the instances theirs. `isolation`:
  // without walls there is no network of one's own.
  JobNetworks(std::string setting, std::string isolation)
      : setting_(std::move(setting)), isolation_(std::move(isolation)) {}

  // Tried once. The error says why this host cannot, where `setting` is "own".
  Result<NetworkChoice> choice();

  struct Job {
    std::vector<std::string> hosts;
    std::string endpoint;      // of the service
    bool is_isolated = false;  // EnableNetworkIsolation: peers only
    bool is_in_use = false;    // agents live that have found the one that is there
  };
  // The folder of the network of the attempt with this folder, started if it is not there; empty:
  // the host's. One that is lost is made again unless it was in use: its agents then end the job.
  Result<fs::path> provide(const fs::path& attempt_folder, const fs::path& program, const Job& job);

  // Ends the attempt's network and removes its folder, unless instances are left.
  static Result<> end_unless_used(const fs::path& attempt_folder);

 private:
  std::string setting_;
  std::string isolation_;
  Guarded<std::optional<NetworkChoice>> choice_;
};

// Instances are beside it, with the names of hosts.
inline constexpr std::string_view kNetworkFolder = "network";

}  // namespace trainyard::engine
