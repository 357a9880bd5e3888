// SPDX-License-Identifier: Apache-2.0
#include "agent/container_stop.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

// SageMaker's toolkit is `train`; the others are what entry points are written in.
constexpr std::array<std::string_view, 6> kLaunchers = {"train", "sh",  "bash",
                                                        "dash",  "ash", "busybox"};

// SigCgt of proc(5): bit N-1 is signal N.
bool handles_sigterm(pid_t pid) {
  std::string status = read_file(fmt::format("/proc/{}/status", pid), 64 << 10).value_or("");
  constexpr std::string_view kName = "SigCgt:";
  size_t at = status.find(kName);
  if (at == std::string::npos) return false;
  size_t begin = at + kName.size();
  auto mask = std::string_view(status).substr(begin, status.find('\n', begin) - begin);
  // All 16 digits: beyond what parse_hexadecimal takes.
  mask = trim(mask);
  auto low = parse_hexadecimal(mask.substr(mask.size() - std::min<size_t>(mask.size(), 8)));
  return low && (*low >> (SIGTERM - 1) & 1) != 0;
}

}  // namespace

std::vector<ProcessId> processes_to_signal(const std::vector<Process>& below, pid_t init,
                                           const std::function<bool(pid_t)>& handles) {
  std::vector<ProcessId> list;
  for (const Process& process : below) {
    if (process.id.pid == init) continue;
    bool is_launcher =
        std::find(kLaunchers.begin(), kLaunchers.end(), process.name) != kLaunchers.end();
    bool has_children = std::any_of(below.begin(), below.end(), [&](const Process& other) {
      return other.parent == process.id.pid;
    });
    if (is_launcher && has_children && !handles(process.id.pid)) continue;
    list.push_back(process.id);
  }
  return list;
}

Result<> ask_container_to_end(docker::Client& docker, const std::string& container) {
  auto found = TRY(docker.inspect_container(container));
  auto init = static_cast<pid_t>(found.pid);
  // Its first process is docker-init. What has another name there is no container of this host.
  auto self = init > 0 ? identify(init) : std::nullopt;
  auto below = self ? descendants(init) : std::vector<Process>();
  if (::geteuid() != 0 || below.empty()) return docker.signal_container(container, "SIGTERM");
  for (const ProcessId& process : processes_to_signal(below, init, handles_sigterm)) {
    send_signal(process, SIGTERM);
  }
  return {};
}

}  // namespace trainyard::agent
