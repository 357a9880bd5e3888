// SPDX-License-Identifier: Apache-2.0
#include "engine/local_engine.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process_tree.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "sandbox/supervise.hpp"

namespace trainyard::engine {

namespace {

constexpr std::string_view kAgentFile = "agent.json";
constexpr int64_t kMaxStarts = 10;  // an agent that ends again and again will go on doing so

// A handle is the instance's folder; the agent's process is read from the folder.
fs::path folder_of(const Handle& handle) {
  return handle.text;
}

fs::path folder_of_instance(const fs::path& jobs_dir, const protocol::Assignment& assignment) {
  return jobs_dir / assignment.job_name / std::to_string(assignment.attempt) / assignment.host;
}

std::optional<ProcessId> find_agent(const fs::path& folder) {
  auto process = read_process(folder / kAgentFile);
  if (!process) return std::nullopt;
  // Our own child may be a zombie: reap it.
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(process->pid), &info, WEXITED | WNOHANG);
  return is_alive(*process) ? process : std::nullopt;
}

// How often an agent was started on this folder.
int64_t starts_of(const fs::path& folder) {
  auto text = read_file(folder / kAgentFile, 4096);
  auto document = text ? json::parse_object(*text) : Result<json::object>(Failure(text.error()));
  return document ? json::find_integer(*document, "starts").value_or(0) : 0;
}

// Waits until the process has ended, at most so long.
void await_end(const ProcessId& process, std::chrono::milliseconds limit) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd || !is_alive(process)) return;
  pollfd watched{fd.get(), POLLIN, 0};
  ::poll(&watched, 1, static_cast<int>(limit.count()));
}

// Processes that feed the instance's channels outlive their agent; they know what to take down.
Result<> stop_feeds(const fs::path& program, const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "channels", error)) return {};
  Command command;
  command.arguments = {program.string(), "stop-feeds", folder.string()};
  Ended ended = TRY(run(command));
  if (ended.exit_code == 0) return {};
  return fail(Code::internal, "stopping the feeds of {}: {}", folder.string(), ended.output);
}

// With the last instance its attempt's network ends, and the folders of attempt and job go.
Result<> remove_if_unused(const fs::path& attempt) {
  TRY(JobNetworks::end_unless_used(attempt));
  std::error_code ignored;
  fs::remove(attempt, ignored);
  fs::remove(attempt.parent_path(), ignored);
  return {};
}

}  // namespace

// One that agents have found is not made anew below them.
Result<fs::path> LocalEngine::provide_network(const Gang& gang) {
  const protocol::Assignment& first = gang.instances.front();
  fs::path attempt = folder_of_instance(options_.jobs_dir, first).parent_path();
  JobNetworks::Job job{first.hosts, first.server.endpoint, first.is_network_isolated};
  for (const protocol::Assignment& assignment : gang.instances) {
    job.is_in_use |= find_agent(attempt / assignment.host).has_value();
  }
  auto network = networks_.provide(attempt, options_.program, job);
  if (!network) static_cast<void>(remove_if_unused(attempt));
  return network;
}

Result<std::vector<Handle>> LocalEngine::start(const Gang& gang) {
  if (gang.instances.empty()) return fail(Code::invalid, "a gang without instances");
  fs::path network = TRY(provide_network(gang));
  std::vector<Handle> handles;
  std::vector<Handle> fresh;
  for (const protocol::Assignment& assignment : gang.instances) {
    fs::path folder = folder_of_instance(options_.jobs_dir, assignment);
    std::error_code error;
    bool is_there = fs::exists(folder, error);
    if (!is_there) fresh.push_back(Handle{folder.string()});
    auto handle = start_one(assignment, network);
    if (!handle) {
      for (const Handle& started : fresh) static_cast<void>(remove(started));
      static_cast<void>(remove_if_unused(folder.parent_path()));
      return Failure(std::move(handle).error().within(assignment.host));
    }
    handles.push_back(*std::move(handle));
  }
  return handles;
}

Result<Handle> LocalEngine::start_one(const protocol::Assignment& assignment,
                                      const fs::path& network) {
  fs::path folder = folder_of_instance(options_.jobs_dir, assignment);
  Handle handle{folder.string()};
  if (find_agent(folder)) return handle;
  TRY(make_directories(folder, 0700));
  protocol::Assignment complete = assignment;
  complete.host_settings = options_.host;
  complete.host_settings.job_dir = folder.string();
  complete.host_settings.network_dir = network.string();
  TRY(write_file_atomically(folder / "assignment.json", json::serialize(to_json(complete)), 0600));
  int64_t starts = starts_of(folder) + 1;
  if (starts > kMaxStarts) {
    return fail(Code::internal, "the agent ended {} times without an end of the job", kMaxStarts);
  }
  ProcessId agent = TRY(start_detached(
      {options_.program.string(), "agent", "--assignment", (folder / "assignment.json").string()},
      folder / "agent.log"));
  json::object document{{"pid", agent.pid}, {"start_time", agent.start_time}, {"starts", starts}};
  TRY(write_file_atomically(folder / kAgentFile, json::serialize(document), 0600));
  return handle;
}

Result<Inspection> LocalEngine::inspect(const Handle& handle) {
  bool is_running = find_agent(folder_of(handle)).has_value();
  return Inspection{is_running ? InstanceState::running : InstanceState::gone};
}

Result<> LocalEngine::stop(const Handle& handle) {
  if (auto agent = find_agent(folder_of(handle))) send_signal(*agent, SIGTERM);
  return {};
}

Result<> LocalEngine::remove(const Handle& handle) {
  fs::path folder = folder_of(handle);
  if (auto agent = find_agent(folder)) {
    // It has reported its end and is about to leave by itself, or it is obsolete.
    await_end(*agent, std::chrono::milliseconds(200));
    send_signal(*agent, SIGKILL);
    await_end(*agent, std::chrono::seconds(5));
    static_cast<void>(find_agent(folder));  // reaps
  }
  for (const char* name : {"run.pid", "setup.pid"}) {
    if (auto supervisor = sandbox::find_supervisor(folder / name)) {
      sandbox::kill_tree(*supervisor);
      await_end(*supervisor, std::chrono::seconds(5));
    }
  }
  TRY(stop_feeds(options_.program, folder));
  TRY(remove_tree(folder));
  return remove_if_unused(folder.parent_path());
}

Result<std::vector<Found>> LocalEngine::recover() {
  std::vector<Found> found;
  std::error_code error;
  for (const auto& job : fs::directory_iterator(options_.jobs_dir, error)) {
    for (const auto& attempt : fs::directory_iterator(job.path(), error)) {
      TRY(remove_if_unused(attempt.path()));  // left by a remove() that was cut off
      for (const auto& host : fs::directory_iterator(attempt.path(), error)) {
        auto number = parse_signed(attempt.path().filename().string());
        if (!number || host.path().filename() == kNetworkFolder) continue;
        found.push_back(
            {job.path().filename(), *number, host.path().filename(), Handle{host.path().string()}});
      }
    }
  }
  return found;
}

}  // namespace trainyard::engine
