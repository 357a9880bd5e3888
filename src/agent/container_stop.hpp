// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/process_tree.hpp"
#include "docker/client.hpp"

namespace trainyard::agent {

// SIGTERM, once, to the processes of a container, as behind walls (contract.md G.9), and not only
// to its first one, as Docker does: the script under a launcher shall hear of it, too. Launchers
// and shells that wait for others and do not handle the signal are left out: they would end the
// container, and with it the others' grace. Where these processes are not ours to signal, or not
// on this host, the container's first one gets it.
Result<> ask_container_to_end(docker::Client& docker, const std::string& container);

// Which of them get the signal; `init` is the container's first process and gets none.
std::vector<ProcessId> processes_to_signal(const std::vector<Process>& below, pid_t init,
                                           const std::function<bool(pid_t)>& handles_sigterm);

}  // namespace trainyard::agent
