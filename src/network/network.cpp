// SPDX-License-Identifier: Apache-2.0
#include "network/network.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "network/build.hpp"
#include "network/files.hpp"

namespace trainyard::network {

namespace {

using std::chrono::milliseconds;

// Our own child may be a zombie.
void reap(const ProcessId& process) {
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED | WNOHANG);
}

bool has_ended_within(const ProcessId& process, milliseconds limit) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (fd && is_alive(process)) {
    pollfd watched{fd.get(), POLLIN, 0};
    ::poll(&watched, 1, static_cast<int>(limit.count()));
  }
  reap(process);
  return !is_alive(process);
}

}  // namespace

const Instance* Network::find(std::string_view host) const {
  for (const Instance& instance : instances) {
    if (instance.host == host) return &instance;
  }
  return nullptr;
}

Result<> start(const fs::path& program, const Plan& plan, const fs::path& folder) {
  if (plan.hosts.size() > kMaxHosts) {
    return fail(Code::invalid, "a network of this machine's has room for {} instances, not {}",
                kMaxHosts, plan.hosts.size());
  }
  TRY(make_directories(folder, 0700));
  TRY(remove_tree(network_file(folder)));
  TRY(write_plan(folder, plan));
  ProcessId holder =
      TRY(start_detached({program.string(), "network", folder.string()}, log_file(folder)));
  return write_holder(folder, holder);
}

std::optional<ProcessId> find_holder(const fs::path& folder) {
  auto process = read_process(holder_file(folder));
  if (!process) return std::nullopt;
  reap(*process);
  return is_alive(*process) ? process : std::nullopt;
}

bool is_lost(const fs::path& folder) {
  if (find_holder(folder)) return false;
  std::error_code error;
  return fs::exists(holder_file(folder), error);
}

Result<Network> await(const fs::path& folder, const std::stop_token& stop) {
  constexpr int kPollMs = 2;
  for (;;) {
    // Looked for first: one that has made it and then ended has left its file.
    auto holder = find_holder(folder);
    auto made = TRY(read_network(folder));
    if (!holder) return fail(Code::unavailable, "its process `trainyard network` has ended");
    if (made) return *std::move(made);
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
    ::poll(nullptr, 0, kPollMs);
  }
}

void stop(const fs::path& folder) {
  auto holder = find_holder(folder);
  if (!holder) return;
  send_signal(*holder, SIGTERM);
  if (has_ended_within(*holder, std::chrono::seconds(5))) return;
  send_signal(*holder, SIGKILL);
  has_ended_within(*holder, std::chrono::seconds(5));
}

Result<> probe() {
  Design design;
  design.instances = 1;
  auto built = build(design);
  if (built) return {};
  return fail(Code::denied, "this host does not allow network namespaces ({})",
              built.error().message);
}

}  // namespace trainyard::network
