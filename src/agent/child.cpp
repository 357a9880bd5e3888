// SPDX-License-Identifier: Apache-2.0
#include "agent/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/channel_folder.hpp"
#include "agent/checkpoints.hpp"
#include "agent/stages.hpp"
#include "base/text.hpp"
#include "sandbox/cgroup.hpp"
#include "sandbox/supervise.hpp"

namespace trainyard::agent {

namespace {

std::string group_name(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  return fmt::format("{}-{}-{}", assignment.job_name, assignment.attempt, assignment.host);
}

// Everything below belongs to the job's user from now on; links are not followed.
void give_to(const fs::path& root, uint32_t user) {
  std::error_code error;
  static_cast<void>(::lchown(root.c_str(), user, user));
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    static_cast<void>(::lchown(entry->path().c_str(), user, user));
  }
}

// NVIDIA's devices of these GPUs, and those that all of them need.
std::vector<fs::path> gpu_devices(const std::vector<int64_t>& gpus) {
  std::vector<fs::path> devices = {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools",
                                   "/dev/nvidia-modeset"};
  for (int64_t gpu : gpus) devices.emplace_back(fmt::format("/dev/nvidia{}", gpu));
  std::error_code error;
  std::erase_if(devices, [&](const fs::path& device) { return !fs::exists(device, error); });
  return devices;
}

// Names of the job's hosts: on its own network where it has one.
Result<> show_hosts(const Context& context, sandbox::Walls& walls) {
  std::string hosts = "127.0.0.1 localhost\n::1 localhost\n";
  for (const std::string& host : context.assignment.hosts) {
    const network::Instance* instance = context.network ? context.network->find(host) : nullptr;
    hosts += (instance != nullptr ? instance->address : "127.0.0.1") + " " + host + "\n";
  }
  TRY(write_file_atomically(context.folder / "hosts", hosts));
  walls.files.emplace_back(context.folder / "hosts", "/etc/hosts");
  return {};
}

// How the host finds names (search, options), asked of whom the job's network reaches.
Result<> show_resolver(const Context& context, sandbox::Walls& walls) {
  std::string shown;
  if (!context.network->name_server.empty()) {
    std::string text = read_file("/etc/resolv.conf", 64 << 10).value_or("");
    for (std::string_view line : split(text, '\n')) {
      bool is_kept = line.starts_with("search ") || line.starts_with("domain ") ||
                     line.starts_with("options ");
      if (is_kept) shown += std::string(line) + "\n";
    }
    shown += "nameserver " + context.network->name_server + "\n";
  }
  walls.resolver = context.folder / "resolv.conf";
  return write_file_atomically(walls.resolver, shown);
}

sandbox::Namespaces namespaces_of(const Context& context) {
  if (!context.network) return {};
  const network::Instance* instance = context.network->find(context.assignment.host);
  return {context.network->holder, context.network->user_descriptor, instance->descriptor};
}

Result<sandbox::Walls> make_walls(const Context& context) {
  sandbox::Walls walls;
  walls.host_name = context.assignment.host;
  walls.ml_dir = context.ml;
  walls.temporary_dir = context.folder / "tmp";
  walls.home_dir = context.folder / "home";
  walls.read_only = {context.environment.folder, context.environment.interpreter_prefix};
  walls.writable = {context.layer};
  if (context.assignment.gpus && !context.assignment.gpus->empty()) {
    walls.devices = gpu_devices(*context.assignment.gpus);
  }
  walls.has_network = context.network || !context.assignment.is_network_isolated;
  TRY(show_hosts(context, walls));
  if (context.network) TRY(show_resolver(context, walls));
  std::vector<fs::path> own = {walls.ml_dir, walls.temporary_dir, walls.home_dir, context.layer};
  if (context.assignment.checkpoint) {
    fs::path checkpoints = Checkpoints::folder_of(context);
    std::string shown = Checkpoints::shown_path(context);
    if (!shown.starts_with("/opt/ml/")) walls.binds.emplace_back(checkpoints, shown);
    own.push_back(checkpoints);
  }
  for (const Channel& channel : context.assignment.channels) {
    ChannelFolder folder(context, channel.name);
    if (!folder.is_shown_from_view()) continue;
    if (folder.is_writable())
      walls.binds.emplace_back(folder.overlay(0).shown, folder.shown_as());
    else
      walls.files.emplace_back(folder.view(), folder.shown_as());
  }
  if (::geteuid() != 0) return walls;

  walls.user_id = context.job_user();
  for (const fs::path& path : own) give_to(path, walls.user_id);
  // Programs such as getpass and ssh want the user to have a name.
  std::string passwd = TRY(read_file("/etc/passwd"));
  passwd += fmt::format("job:x:{0}:{0}:training job:/home/job:/bin/sh\n", walls.user_id);
  TRY(write_file_atomically(context.folder / "passwd", passwd));
  walls.files.emplace_back(context.folder / "passwd", "/etc/passwd");
  return walls;
}

std::vector<sandbox::Overlay> overlays_of(const Context& context, uint32_t owner) {
  std::vector<sandbox::Overlay> overlays;
  for (const Channel& channel : context.assignment.channels) {
    ChannelFolder folder(context, channel.name);
    if (folder.is_writable()) overlays.push_back(folder.overlay(owner));
  }
  return overlays;
}

sandbox::Limits limits_of(const Context& context) {
  const protocol::HostSettings& host = context.assignment.host_settings;
  return {host.memory_limit_bytes, host.cpu_limit};
}

// The job's control groups; none where this host has no way to make them.
std::vector<std::string> control_groups(const Context& context) {
  auto groups = sandbox::make_groups(group_name(context), limits_of(context));
  if (groups) return *groups;
  if (limits_of(context).has_any()) {
    context.say(fmt::format("WARNING: the job's memory and CPU limits are not enforced: {}",
                            groups.error().message));
  }
  return {};
}

// Room for the exit record, the journal and the last log lines, whatever the script does to the
// disk.
Result<fs::path> make_reserve(const Context& context) {
  constexpr off_t kReserveBytes = 16 << 20;
  fs::path path = context.folder / "reserve";
  Fd fd = TRY(open_file(path, O_WRONLY | O_CREAT, 0600));
  int error = ::posix_fallocate(fd.get(), 0, kReserveBytes);
  if (error != 0) return fail_errno(error, "reserving room for the job's end");
  return path;
}

Result<> start(const Context& context, const ChildPlan& plan) {
  sandbox::Supervision supervision;
  fs::path code = context.ml / "code";
  if (context.isolation == sandbox::Isolation::sandbox) {
    auto walls = TRY(make_walls(context));
    walls.read_only.insert(walls.read_only.end(), plan.shown.begin(), plan.shown.end());
    if (auto safe = sandbox::check_mount_points(walls); !safe) {
      return algorithm_error(safe.error().message + " by the job's set-up code");
    }
    supervision.command = sandbox::wrap(walls, plan.command, "/opt/ml/code");
    supervision.working_dir = "/";
    if (auto lost = network_error(context)) return Failure(*std::move(lost));
    supervision.namespaces = namespaces_of(context);
    supervision.overlays = overlays_of(context, walls.user_id);
  } else {
    // As walls do: the script does not outlive its supervisor.
    supervision.command = {"setpriv", "--pdeathsig", "KILL", "--"};
    supervision.command.insert(supervision.command.end(), plan.command.begin(), plan.command.end());
    supervision.working_dir = context.shown_ml + "/code";
  }
  for (const auto& [name, value] : plan.variables) {
    supervision.variables.push_back(name + "=" + value);
  }
  supervision.reserve = TRY(make_reserve(context));
  supervision.groups = control_groups(context);
  supervision.log = context.log_file();
  supervision.pid_file = context.folder / (plan.name + ".pid");
  supervision.exit_file = context.folder / (plan.name + ".exit");
  TRY(sandbox::start_supervisor(context.program, supervision,
                                context.folder / (plan.name + ".json"), context.ml_lease.get()));
  return {};
}

// Waits until the supervisor ends, one of the two is asked, or the time has come.
enum class Woken { ended, stopped, aborted, time_over };

Woken wait_for(const ProcessId& supervisor, const std::stop_token& stop,
               const std::stop_token& abort,
               std::optional<std::chrono::steady_clock::time_point> deadline) {
  using std::chrono::steady_clock;
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, supervisor.pid, 0)));
  Fd asked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto wake = [&] { ::eventfd_write(asked.get(), 1); };
  std::stop_callback on_stop(stop, wake);
  std::stop_callback on_abort(abort, wake);
  for (;;) {
    if (!process || !is_alive(supervisor)) return Woken::ended;
    auto left = std::chrono::hours(1) / std::chrono::milliseconds(1);
    if (deadline) {
      left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - steady_clock::now()).count();
      if (left <= 0) return Woken::time_over;
    }
    std::array<pollfd, 2> watched{{{process.get(), POLLIN, 0}, {asked.get(), POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), static_cast<int>(std::min<int64_t>(left, 3'600'000)));
    if (watched[1].revents != 0) return abort.stop_requested() ? Woken::aborted : Woken::stopped;
  }
}

// The supervisor's file appears a moment after its start.
std::optional<ProcessId> await_supervisor(const Context& context, const ChildPlan& plan) {
  fs::path pid_file = context.folder / (plan.name + ".pid");
  fs::path exit_file = context.folder / (plan.name + ".exit");
  for (int i = 0; i < 2000; ++i) {
    if (auto found = read_process(pid_file)) {
      return is_alive(*found) ? found
                              : std::nullopt;  // a dead one has left its record or never will
    }
    if (sandbox::read_exit(exit_file)) return std::nullopt;
    ::poll(nullptr, 0, 5);
  }
  return std::nullopt;
}

// Of a script that trains with an instance which failed: it may hang in a collective operation and
// never see the signal, and its job is to fail within seconds.
constexpr std::chrono::seconds kGraceAfterFailure{5};

// SIGTERM, and the grace; false when it did not end within that.
bool end_gently(const Context& context, const ProcessId& supervisor) {
  if (!context.is_interrupted && !context.is_given_up) {
    static_cast<void>(context.journal.add(protocol::EventKind::stopping));
  }
  send_signal(supervisor, SIGTERM);
  std::chrono::seconds grace(context.assignment.host_settings.stop_grace_seconds);
  if (context.is_given_up) grace = std::min(grace, kGraceAfterFailure);
  auto limit = std::chrono::steady_clock::now() + grace;
  if (wait_for(supervisor, {}, {}, limit) == Woken::ended) return true;
  context.say(
      fmt::format("The script did not end within {} s of SIGTERM: SIGKILL.", grace.count()));
  return false;
}

}  // namespace

Result<ChildEnd> run_child(const Context& context, const ChildPlan& plan) {
  fs::path exit_file = context.folder / (plan.name + ".exit");
  std::error_code error;
  if (!fs::exists(context.folder / (plan.name + ".json"), error)) TRY(start(context, plan));
  ChildEnd end;
  if (auto supervisor = await_supervisor(context, plan)) {
    std::optional<std::chrono::steady_clock::time_point> deadline;
    if (plan.deadline) {
      deadline = std::chrono::steady_clock::now() + (*plan.deadline - context.clock.now());
    }
    Woken woken = wait_for(*supervisor, context.stop, plan.abort, deadline);
    end.is_stopped = woken == Woken::stopped;
    end.is_time_over = woken == Woken::time_over;
    end.is_aborted = woken == Woken::aborted;
    bool is_killed = end.is_aborted || (woken != Woken::ended && !end_gently(context, *supervisor));
    if (is_killed) {
      sandbox::kill_tree(*supervisor);
      wait_for(*supervisor, {}, {}, std::nullopt);
      end.exit_code = 137;
      return end;
    }
  }
  auto record = sandbox::read_exit(exit_file);
  if (!record) {
    // What it led must not write on while its checkpoints are read.
    auto groups = sandbox::make_groups(group_name(context), limits_of(context));
    if (groups) sandbox::end_processes(*groups);
    return fail(Code::internal, "the script's supervisor was lost");
  }
  end.exit_code = record->exit_code;
  return end;
}

std::string memory_evidence(const Context& context) {
  // Making them again finds those that are there.
  sandbox::Limits limits = limits_of(context);
  auto groups = sandbox::make_groups(group_name(context), limits);
  if (!groups || !sandbox::was_killed_for_memory(*groups)) return "";
  if (limits.memory_bytes == 0) return "killed for memory: the machine had none left";
  return fmt::format("killed for memory: the job's limit is {}",
                     format_bytes(static_cast<uint64_t>(limits.memory_bytes)));
}

void remove_control_groups(const Context& context) {
  auto groups = sandbox::make_groups(group_name(context), limits_of(context));
  if (groups) sandbox::remove_groups(*groups);
}

int cpu_count() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

protocol::StringPairs base_variables(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  const protocol::ServerAccess& server = assignment.server;
  std::string host = server.endpoint.substr(server.endpoint.find("://") + 3);
  bool is_walled = context.isolation == sandbox::Isolation::sandbox;
  protocol::StringPairs list = {
      {"PATH", fmt::format("{}/bin:{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
                           "/bin",
                           context.layer.string(), context.environment.folder.string())},
      {"HOME", is_walled ? "/home/job" : (context.folder / "home").string()},
      {"USER", "job"},
      {"LANG", "C.UTF-8"},
      {"PYTHONUNBUFFERED", "1"},
      {"PYTHONPATH", context.shown_ml + "/code"},
      {"VIRTUAL_ENV", context.layer.string()},
      {"TRAINING_JOB_NAME", assignment.job_name},
      {"TRAINING_JOB_ARN", assignment.job_arn},
      {"SAGEMAKER_JOB_NAME", assignment.job_name},
      {"CURRENT_HOST", assignment.host},
      {"SAGEMAKER_REGION", server.region},
      {"AWS_REGION", server.region},
      {"AWS_DEFAULT_REGION", server.region},
  };
  if (!is_walled) {
    list.emplace_back("TMPDIR", (context.folder / "tmp").string());
    list.emplace_back("SAGEMAKER_BASE_DIR", context.shown_ml);
  }
  if (assignment.gpus) {
    list.emplace_back("CUDA_VISIBLE_DEVICES", fmt::format("{}", fmt::join(*assignment.gpus, ",")));
  }
  const auto& framework = context.recipe.launcher.variables;
  list.insert(list.end(), framework.begin(), framework.end());
  if (!assignment.is_network_isolated) {
    list.insert(list.end(), {{"AWS_ACCESS_KEY_ID", server.access_key},
                             {"AWS_SECRET_ACCESS_KEY", server.secret_key},
                             {"AWS_SESSION_TOKEN", server.session_token},
                             {"AWS_ENDPOINT_URL", server.endpoint},
                             {"AWS_ENDPOINT_URL_S3", server.endpoint},
                             {"S3_ENDPOINT_URL", server.endpoint},
                             {"S3_ENDPOINT", host},
                             {"S3_REGION", server.region},
                             {"S3_USE_HTTPS", server.endpoint.starts_with("https") ? "1" : "0"},
                             {"S3_VERIFY_SSL", "0"}});
  }
  // The request's own come last: they win.
  for (const auto& pair : assignment.environment) {
    std::erase_if(list, [&](const auto& other) { return other.first == pair.first; });
    list.push_back(pair);
  }
  return list;
}

}  // namespace trainyard::agent
