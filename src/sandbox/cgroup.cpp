// SPDX-License-Identifier: Apache-2.0
#include "sandbox/cgroup.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/process_tree.hpp"
#include "base/text.hpp"

namespace trainyard::sandbox {

namespace {

constexpr int64_t kPeriodUs = 100'000;  // the kernel's default for CPU quotas

// Files of a control group take one write and cannot be replaced.
Result<> write_control(const fs::path& file, const std::string& text) {
  Fd fd = TRY(open_file(file, O_WRONLY));
  auto written = write_all(fd.get(), text);
  if (!written) return Failure(std::move(written).error().within(file.string()));
  return {};
}

std::string quota_us(double cpus) {
  return std::to_string(static_cast<int64_t>(cpus * static_cast<double>(kPeriodUs)));
}

Result<std::vector<std::string>> make_version_1(const std::string& name, const Limits& limits) {
  fs::path memory = fs::path("/sys/fs/cgroup/memory/trainyard") / name;
  TRY(make_directories(memory));
  std::vector<std::string> groups{memory.string()};
  if (limits.memory_bytes > 0) {
    std::string limit = std::to_string(limits.memory_bytes);
    TRY(write_control(memory / "memory.limit_in_bytes", limit));
    // Swap would only make the end slower; hosts without swap accounting lack the file.
    static_cast<void>(write_control(memory / "memory.memsw.limit_in_bytes", limit));
  }
  if (limits.cpus > 0) {
    fs::path group = fs::path("/sys/fs/cgroup/cpu/trainyard") / name;
    TRY(make_directories(group));
    TRY(write_control(group / "cpu.cfs_period_us", std::to_string(kPeriodUs)));
    TRY(write_control(group / "cpu.cfs_quota_us", quota_us(limits.cpus)));
    groups.push_back(group.string());
  }
  return groups;
}

Result<std::vector<std::string>> make_version_2(const std::string& name, const Limits& limits) {
  fs::path root = "/sys/fs/cgroup";
  fs::path group = root / "trainyard" / name;
  TRY(make_directories(root / "trainyard"));
  for (const fs::path& above : {root, root / "trainyard"}) {
    if (limits.memory_bytes > 0) TRY(write_control(above / "cgroup.subtree_control", "+memory"));
    if (limits.cpus > 0) TRY(write_control(above / "cgroup.subtree_control", "+cpu"));
  }
  TRY(make_directories(group));
  if (limits.memory_bytes > 0) {
    TRY(write_control(group / "memory.max", std::to_string(limits.memory_bytes)));
    static_cast<void>(write_control(group / "memory.swap.max", "0"));
  }
  if (limits.cpus > 0) {
    TRY(write_control(group / "cpu.max", fmt::format("{} {}", quota_us(limits.cpus), kPeriodUs)));
  }
  return std::vector<std::string>{group.string()};
}

// False when the group had no processes.
bool kill_members(const fs::path& group) {
  bool is_any = false;
  std::string text = read_file(group / "cgroup.procs").value_or("");
  for (std::string_view line : split(text, '\n')) {
    auto process = identify(static_cast<pid_t>(parse_unsigned(line).value_or(0)));
    if (!process || !is_alive(*process)) continue;
    send_signal(*process, SIGKILL);
    is_any = true;
  }
  return is_any;
}

}  // namespace

Result<std::vector<std::string>> make_groups(const std::string& name, const Limits& limits) {
  std::error_code error;
  if (fs::exists("/sys/fs/cgroup/cgroup.controllers", error)) return make_version_2(name, limits);
  if (fs::exists("/sys/fs/cgroup/memory", error)) return make_version_1(name, limits);
  return fail(Code::not_found, "no control groups below /sys/fs/cgroup");
}

Result<> enter_groups(const std::vector<std::string>& groups) {
  for (const fs::path group : groups) {
    TRY(write_control(group / "cgroup.procs", std::to_string(::getpid())));
  }
  return {};
}

bool was_killed_for_memory(const std::vector<std::string>& groups) {
  constexpr std::string_view kCount = "oom_kill ";
  for (const fs::path group : groups) {
    for (const char* file : {"memory.oom_control", "memory.events"}) {
      std::string text = read_file(group / file).value_or("");
      for (std::string_view line : split(text, '\n')) {
        if (line.starts_with(kCount) && line.substr(kCount.size()) != "0") return true;
      }
    }
  }
  return false;
}

void end_processes(const std::vector<std::string>& groups) {
  constexpr int kPollMs = 5;
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    bool is_any = false;
    for (const std::string& group : groups) is_any |= kill_members(group);
    if (!is_any) return;
    ::poll(nullptr, 0, kPollMs);
  }
}

void remove_groups(const std::vector<std::string>& groups) {
  for (const std::string& group : groups) ::rmdir(group.c_str());
}

}  // namespace trainyard::sandbox
