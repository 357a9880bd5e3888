// SPDX-License-Identifier: Apache-2.0
#include "engine/job_networks.hpp"

#include "network/network.hpp"
#include "sandbox/sandbox.hpp"

namespace trainyard::engine {

namespace {

Result<> probe(const std::string& isolation) {
  if (isolation == "process") return fail(Code::denied, "isolation is \"process\"");
  TRY(sandbox::probe());
  return network::probe();
}

// Instances of the attempt, without its network.
std::vector<fs::path> instances_in(const fs::path& attempt_folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(attempt_folder, error)) {
    if (entry.is_directory(error) && entry.path().filename() != kNetworkFolder)
      found.push_back(entry.path());
  }
  return found;
}

bool has_started_script(const fs::path& attempt_folder) {
  std::error_code error;
  for (const fs::path& instance : instances_in(attempt_folder)) {
    if (fs::exists(instance / "run.json", error)) return true;
  }
  return false;
}

}  // namespace

Result<NetworkChoice> JobNetworks::choice() {
  auto known = choice_.with([](const std::optional<NetworkChoice>& made) { return made; });
  if (known) return *known;
  NetworkChoice made;
  if (setting_ != "host") {
    auto can = probe(isolation_);
    if (!can && setting_ == "own") {
      return fail(Code::denied, "job-network is \"own\" and {}", can.error().message);
    }
    made.is_own = can.has_value();
    if (!can) made.why_not = can.error().message;
  }
  choice_.with([&](std::optional<NetworkChoice>& kept) { kept = made; });
  return made;
}

Result<fs::path> JobNetworks::provide(const fs::path& attempt_folder, const fs::path& program,
                                      const Job& job) {
  if (setting_ == "elsewhere") return fs::path();
  NetworkChoice chosen = TRY(choice());
  if (!chosen.is_own && job.hosts.size() > 1) {
    return fail(Code::invalid,
                "several instances on this machine need a network of their own, and jobs have the "
                "host's: {}",
                chosen.why_not.empty() ? "job-network is \"host\"" : chosen.why_not);
  }
  if (!chosen.is_own) return fs::path();
  fs::path folder = attempt_folder / kNetworkFolder;
  bool was_used = job.is_in_use || has_started_script(attempt_folder);
  if (was_used || network::find_holder(folder)) return folder;
  network::Plan plan;
  plan.hosts = job.hosts;
  plan.has_outside = !job.is_isolated;
  if (!job.is_isolated) plan.endpoint = job.endpoint;
  TRY(network::start(program, plan, folder));
  return folder;
}

Result<> JobNetworks::end_unless_used(const fs::path& attempt_folder) {
  if (!instances_in(attempt_folder).empty()) return {};
  network::stop(attempt_folder / kNetworkFolder);
  return remove_tree(attempt_folder / kNetworkFolder);
}

}  // namespace trainyard::engine
