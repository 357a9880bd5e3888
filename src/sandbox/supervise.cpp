// SPDX-License-Identifier: Apache-2.0
#include "sandbox/supervise.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "sandbox/cgroup.hpp"

namespace trainyard::sandbox {

namespace {

json::array to_json(const std::vector<Overlay>& overlays) {
  json::array list;
  for (const Overlay& overlay : overlays) {
    list.push_back(json::object{{"lower", overlay.lower.string()},
                                {"upper", overlay.upper.string()},
                                {"work", overlay.work.string()},
                                {"shown", overlay.shown.string()},
                                {"owner", overlay.owner}});
  }
  return list;
}

Result<std::vector<Overlay>> parse_overlays(const json::object& document) {
  std::vector<Overlay> overlays;
  const json::array* list = json::find_array(document, "overlays");
  if (list == nullptr) return overlays;
  for (const json::value& entry : *list) {
    if (!entry.is_object()) return fail(Code::invalid, "an overlay is no object");
    const json::object& overlay = entry.get_object();
    Overlay parsed;
    parsed.lower = TRY(json::get_string(overlay, "lower"));
    parsed.upper = TRY(json::get_string(overlay, "upper"));
    parsed.work = TRY(json::get_string(overlay, "work"));
    parsed.shown = TRY(json::get_string(overlay, "shown"));
    parsed.owner = static_cast<uint32_t>(json::find_integer(overlay, "owner").value_or(0));
    overlays.push_back(std::move(parsed));
  }
  return overlays;
}

json::object to_json(const Namespaces& namespaces) {
  return {{"pid", namespaces.keeper.pid},
          {"start_time", namespaces.keeper.start_time},
          {"user", namespaces.user},
          {"network", namespaces.network}};
}

Namespaces parse_namespaces(const json::object& document) {
  Namespaces namespaces;
  const json::object* found = json::find_object(document, "namespaces");
  if (found == nullptr) return namespaces;
  auto number = [&](const char* name, int64_t other) {
    return json::find_integer(*found, name).value_or(other);
  };
  namespaces.keeper.pid = static_cast<pid_t>(number("pid", 0));
  namespaces.keeper.start_time = static_cast<uint64_t>(number("start_time", 0));
  namespaces.user = static_cast<int>(number("user", -1));
  namespaces.network = static_cast<int>(number("network", -1));
  return namespaces;
}

std::string serialize(const Supervision& plan) {
  return json::serialize(json::object{{"command", json::to_array(plan.command)},
                                      {"variables", json::to_array(plan.variables)},
                                      {"working_dir", plan.working_dir.string()},
                                      {"log", plan.log.string()},
                                      {"pid_file", plan.pid_file.string()},
                                      {"exit_file", plan.exit_file.string()},
                                      {"reserve", plan.reserve.string()},
                                      {"groups", json::to_array(plan.groups)},
                                      {"namespaces", to_json(plan.namespaces)},
                                      {"overlays", to_json(plan.overlays)}});
}

Result<Supervision> load(const fs::path& file) {
  auto document = TRY(json::parse_object(TRY(read_file(file))));
  Supervision plan;
  plan.command = json::find_texts(document, "command").value_or(std::vector<std::string>());
  plan.variables = json::find_texts(document, "variables").value_or(std::vector<std::string>());
  plan.working_dir = TRY(json::get_string(document, "working_dir"));
  plan.log = TRY(json::get_string(document, "log"));
  plan.pid_file = TRY(json::get_string(document, "pid_file"));
  plan.exit_file = TRY(json::get_string(document, "exit_file"));
  plan.reserve = TRY(json::get_string(document, "reserve"));
  plan.groups = json::find_texts(document, "groups").value_or(std::vector<std::string>());
  plan.namespaces = parse_namespaces(document);
  plan.overlays = TRY(parse_overlays(document));
  if (plan.command.empty()) return fail(Code::invalid, "member 'command' is empty");
  return plan;
}

// Members of the sandbox itself are not the user's processes; nor are mpirun and its daemons, which
// would pass the signal on to ranks that have got it already, and kill them a second later.
bool is_wall(const Process& process) {
  return process.name == "bwrap" || process.name == "mpirun" || process.name == "orted";
}

// False where there is none yet: the walls are still being built.
bool signal_users_processes(int signal) {
  bool is_any = false;
  for (const Process& process : descendants(::getpid())) {
    if (is_wall(process)) continue;
    send_signal(process.id, signal);
    is_any = true;
  }
  return is_any;
}

Result<pid_t> spawn(Supervision& plan) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, plan.log.c_str(), O_WRONLY | O_APPEND | O_CREAT,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawn_file_actions_addchdir_np(&actions, plan.working_dir.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  int error = ::posix_spawnp(&pid, plan.command[0].c_str(), &actions, &attributes,
                             pointers(plan.command).data(), pointers(plan.variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, "starting " + plan.command[0]);
  return pid;
}

int code_of(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

// Reaps until the job's first process has ended; orphans come here because we are their subreaper.
int wait_for(pid_t main_process, int signals) {
  constexpr int kWallsPollMs = 5;
  bool is_stop_due = false;
  for (;;) {
    siginfo_t info{};
    while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
      if (info.si_pid == main_process) return code_of(info);
      info = {};
    }
    pollfd watched{signals, POLLIN, 0};
    ::poll(&watched, 1, is_stop_due ? kWallsPollMs : -1);
    signalfd_siginfo received{};
    while (::read(signals, &received, sizeof received) == sizeof received) {
      is_stop_due |= received.ssi_signo == SIGTERM;
    }
    if (is_stop_due) is_stop_due = !signal_users_processes(SIGTERM);
  }
}

// Children that the script left behind end with it.
void end_leftovers() {
  for (;;) {
    for (const Process& process : descendants(::getpid())) send_signal(process.id, SIGKILL);
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED) != 0 && errno == ECHILD) return;
  }
}

Result<int> run_plan(const fs::path& file) {
  Supervision plan = TRY(load(file));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t handled;
  sigemptyset(&handled);
  sigaddset(&handled, SIGTERM);
  sigaddset(&handled, SIGCHLD);
  sigaddset(&handled, SIGINT);
  sigaddset(&handled, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  Fd signals(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  TRY(enter_groups(plan.groups));
  TRY(enter_namespaces(plan.namespaces));
  TRY(enter_overlays(plan.overlays));
  pid_t main_process = TRY(spawn(plan));
  auto self = identify(::getpid());
  if (self) TRY(write_process(plan.pid_file, *self));
  int exit_code = wait_for(main_process, signals.get());
  end_leftovers();
  ::unlink(plan.reserve.c_str());
  SystemClock clock;
  json::object record{{"exit_code", exit_code}, {"ended_ms", to_epoch_ms(clock.now())}};
  TRY(write_file_atomically(plan.exit_file, json::serialize(record), 0600));
  return 0;
}

}  // namespace

Result<ProcessId> start_supervisor(const fs::path& program, const Supervision& supervision,
                                   const fs::path& file, int lease) {
  TRY(write_file_atomically(file, serialize(supervision), 0600));
  return start_detached({program.string(), "supervise", file.string()}, {}, lease);
}

std::optional<ProcessId> find_supervisor(const fs::path& pid_file) {
  auto process = read_process(pid_file);
  return process && is_alive(*process) ? process : std::nullopt;
}

std::optional<ExitRecord> read_exit(const fs::path& exit_file) {
  auto text = read_file(exit_file, 4096);
  auto document = text ? json::parse_object(*text) : Result<json::object>(Failure(text.error()));
  if (!document) return std::nullopt;
  return ExitRecord{static_cast<int>(json::find_integer(*document, "exit_code").value_or(1)),
                    json::find_integer(*document, "ended_ms").value_or(0)};
}

void kill_tree(const ProcessId& supervisor) {
  // Killed first, the supervisor cannot report an end that was none; its children are known by
  // then.
  auto below = descendants(supervisor.pid);
  send_signal(supervisor, SIGKILL);
  for (const Process& process : below) send_signal(process.id, SIGKILL);
}

int supervise(const fs::path& file) {
  auto done = run_plan(file);
  if (done) return *done;
  fmt::print(stderr, "trainyard supervise: {}\n", done.error().message);
  return 1;
}

}  // namespace trainyard::sandbox
