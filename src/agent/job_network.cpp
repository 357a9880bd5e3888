// SPDX-License-Identifier: Apache-2.0
#include "agent/stages.hpp"

namespace trainyard::agent {

namespace {

Result<> look_for_network(Context& context) {
  const std::string& folder = context.assignment.host_settings.network_dir;
  if (folder.empty() || context.isolation != sandbox::Isolation::sandbox) return {};
  auto found = network::await(folder, context.stop);
  if (!found && found.error().code == Code::cancelled) return Failure(found.error());
  if (!found) {
    return fail(Code::unavailable, "the job's network could not be made: {}",
                found.error().message);
  }
  if (found->find(context.assignment.host) == nullptr) {
    return fail(Code::internal, "the job's network has no {}", context.assignment.host);
  }
  context.network = *std::move(found);
  return {};
}

}  // namespace

Result<> join_network(Context& context) {
  TRY(look_for_network(context));
  if (context.network && !context.network->no_outside.empty()) {
    context.say(fmt::format("WARNING: this job reaches no other machines: {}",
                            context.network->no_outside));
  }
  return {};
}

std::optional<Error> network_error(const Context& context) {
  const std::string& folder = context.assignment.host_settings.network_dir;
  bool has_own = !folder.empty() && context.isolation == sandbox::Isolation::sandbox;
  if (!has_own || !network::is_lost(folder)) return std::nullopt;
  return Error{Code::internal, "the job's network was lost: its process `trainyard network` ended"};
}

}  // namespace trainyard::agent
