// SPDX-License-Identifier: Apache-2.0
#include "base/process_tree.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"

namespace trainyard {

namespace {

struct Stat {
  Process process;
  char state = 'X';
};

// "4711 (some name) S 1 …": the name may hold blanks and parentheses.
std::optional<Stat> read_stat(pid_t pid) {
  auto text = read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!text) return std::nullopt;
  size_t open = text->find('(');
  size_t close = text->rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  auto fields = split(std::string_view(*text).substr(close + 2), ' ');
  constexpr size_t kStartTime = 19;  // field 22, counted from the state
  if (fields.size() <= kStartTime) return std::nullopt;
  Stat stat;
  stat.state = fields[0].empty() ? 'X' : fields[0][0];
  stat.process.id.pid = pid;
  stat.process.parent = static_cast<pid_t>(parse_signed(fields[1]).value_or(0));
  stat.process.id.start_time = parse_unsigned(fields[kStartTime]).value_or(0);
  stat.process.name = text->substr(open + 1, close - open - 1);
  return stat;
}

}  // namespace

std::optional<ProcessId> identify(pid_t pid) {
  auto stat = read_stat(pid);
  if (!stat) return std::nullopt;
  return stat->process.id;
}

bool is_alive(const ProcessId& process) {
  auto stat = read_stat(process.pid);
  return stat && stat->process.id.start_time == process.start_time && stat->state != 'Z' &&
         stat->state != 'X';
}

void send_signal(const ProcessId& process, int signal) {
  // The descriptor pins the process, so that the check and the signal mean the same one.
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd || !is_alive(process)) return;
  ::syscall(SYS_pidfd_send_signal, fd.get(), signal, nullptr, 0);
}

Result<> write_process(const fs::path& file, const ProcessId& process) {
  json::object document{{"pid", process.pid}, {"start_time", process.start_time}};
  return write_file_atomically(file, json::serialize(document), 0600);
}

std::optional<ProcessId> read_process(const fs::path& file) {
  auto text = read_file(file, 4096);
  if (!text) return std::nullopt;
  auto document = json::parse_object(*text);
  if (!document) return std::nullopt;
  return ProcessId{static_cast<pid_t>(json::find_integer(*document, "pid").value_or(0)),
                   static_cast<uint64_t>(json::find_integer(*document, "start_time").value_or(0))};
}

Result<ProcessId> start_detached(std::vector<std::string> arguments, const fs::path& output,
                                 int inherited) {
  std::vector<std::string> variables = merged_environment({});
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!output.empty()) {
    int flags = O_WRONLY | O_APPEND | O_CREAT;
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), flags, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
  }
  if (inherited >= 0) posix_spawn_file_actions_adddup2(&actions, inherited, 3);
  posix_spawn_file_actions_addclosefrom_np(&actions, inherited >= 0 ? 4 : 3);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, arguments[0].c_str(), &actions, &attributes,
                            pointers(arguments).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, "starting " + arguments[0]);
  auto process = identify(pid);
  if (!process) return fail(Code::unavailable, "{} ended at once", arguments[0]);
  return *process;
}

std::vector<Process> descendants(pid_t root) {
  std::vector<Process> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    auto pid = parse_unsigned(entry.path().filename().string());
    if (!pid) continue;
    if (auto stat = read_stat(static_cast<pid_t>(*pid))) all.push_back(stat->process);
  }
  std::vector<Process> found;
  std::vector<pid_t> parents{root};
  for (size_t i = 0; i < parents.size(); ++i) {
    for (const Process& process : all) {
      if (process.parent != parents[i]) continue;
      found.push_back(process);
      parents.push_back(process.id.pid);
    }
  }
  return found;
}

}  // namespace trainyard
