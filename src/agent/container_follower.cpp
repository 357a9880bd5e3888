// SPDX-License-Identifier: Apache-2.0
#include "agent/container_follower.hpp"

#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "agent/container_job.hpp"
#include "agent/container_output.hpp"
#include "agent/container_stop.hpp"

namespace trainyard::agent {

namespace {

using std::chrono::steady_clock;
using Woken = ContainerFollower::Woken;
using docker::ContainerStatus;

constexpr std::chrono::milliseconds kRetry{500};
constexpr std::chrono::seconds kTend{2};
constexpr std::chrono::seconds kLastPatience{60};  // with a daemon that does not answer

}  // namespace

ContainerFollower::ContainerFollower(const Context& context)
    : context_(context), thread_([this](const std::stop_token& stop) { work(stop); }) {}

void ContainerFollower::work(const std::stop_token& stop) {
  for (bool has_told = false; !stop.stop_requested();) {
    auto followed = follow(stop);
    bool is_over = followed || !is_retryable(followed.error().code);
    if (is_over && !stop.stop_requested()) {
      end_.change([&](End& end) { end = std::move(followed); });
      return;
    }
    if (!followed && !std::exchange(has_told, true) && !stop.stop_requested()) {
      context_.say("Waiting for Docker: " + followed.error().message);
    }
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, kRetry, [] { return false; });
  }
}

// Once from the output's beginning to the container's end.
Result<docker::Container> ContainerFollower::follow(const std::stop_token& stop) {
  std::string name = container_name(context_.assignment);
  auto docker = TRY(docker::Client::connect(TRY(docker_host(context_.assignment))));
  auto output = TRY(ContainerOutput::open(context_.log_file(), context_.folder / "run.cursor"));
  auto container = TRY(docker.inspect_container(name));
  // As a supervisor's: what measures and what removes the instance finds its processes by it.
  auto first = container.pid > 0 ? identify(static_cast<pid_t>(container.pid)) : std::nullopt;
  if (first) TRY(write_process(context_.folder / "run.pid", *first));
  TRY(output.copy(docker, name, true, stop));
  container = TRY(docker.inspect_container(name));
  if (container.status != ContainerStatus::ended) {
    return fail(Code::unavailable, "the container's output ended before it did");
  }
  // Those that follow may miss the very last lines.
  TRY(output.copy(docker, name, false, stop));
  return container;
}

Woken ContainerFollower::wait(const std::stop_token& stop, const std::stop_token& abort,
                              std::optional<steady_clock::time_point> deadline) {
  std::stop_source any;
  auto wake = [&] { any.request_stop(); };
  std::stop_callback on_stop(stop, wake);
  std::stop_callback on_abort(abort, wake);
  auto until = deadline.value_or(steady_clock::now() + std::chrono::hours(24 * 365));
  bool has_ended = end_.wait(
      any.get_token(), until, [](const End& end) { return end.has_value(); },
      [](const End& end) { return end.has_value(); });
  if (has_ended) return Woken::ended;
  if (abort.stop_requested()) return Woken::aborted;
  return stop.stop_requested() ? Woken::stopped : Woken::time_over;
}

Result<docker::Container> ContainerFollower::end() const {
  return end_.with([](const End& end) -> Result<docker::Container> {
    if (end) return *end;
    return fail(Code::unavailable, "Docker does not tell how the container ended");
  });
}

namespace {

// SIGTERM, and the grace; false when it did not end within that.
bool end_gently(const Context& context, docker::Client& docker, ContainerFollower& follower) {
  if (!context.is_interrupted) {
    static_cast<void>(context.journal.add(protocol::EventKind::stopping));
  }
  auto asked = ask_container_to_end(docker, container_name(context.assignment));
  if (!asked) context.say("WARNING: the container was not told to end: " + asked.error().message);
  std::chrono::seconds grace(context.assignment.host_settings.stop_grace_seconds);
  if (follower.wait({}, {}, steady_clock::now() + grace) == Woken::ended) return true;
  context.say(
      fmt::format("The script did not end within {} s of SIGTERM: SIGKILL.", grace.count()));
  return false;
}

// Without the daemon, too, where we may.
void kill_container(const Context& context, docker::Client& docker) {
  if (docker.signal_container(container_name(context.assignment), "SIGKILL")) return;
  if (auto first = read_process(context.folder / "run.pid")) send_signal(*first, SIGKILL);
}

// As wait() of the follower, and calls `tend` meanwhile.
Woken wait_and_tend(const Context& context, const ChildPlan& plan, ContainerFollower& follower,
                    const std::function<void()>& tend) {
  std::optional<steady_clock::time_point> deadline;
  if (plan.deadline) deadline = steady_clock::now() + (*plan.deadline - context.clock.now());
  for (;;) {
    auto next = steady_clock::now() + kTend;
    bool is_last = deadline && *deadline <= next;
    Woken woken = follower.wait(context.stop, plan.abort, is_last ? *deadline : next);
    if (woken != Woken::time_over || is_last) return woken;
    tend();
  }
}

}  // namespace

Result<ChildEnd> follow_to_end(const Context& context, const ChildPlan& plan,
                               docker::Client& docker, ContainerFollower& follower,
                               const std::function<void()>& tend) {
  ChildEnd end;
  Woken woken = wait_and_tend(context, plan, follower, tend);
  end.is_stopped = woken == Woken::stopped;
  end.is_time_over = woken == Woken::time_over;
  end.is_aborted = woken == Woken::aborted;
  bool is_killed =
      end.is_aborted || (woken != Woken::ended && !end_gently(context, docker, follower));
  if (is_killed) {
    kill_container(context, docker);
    follower.wait({}, {}, steady_clock::now() + kLastPatience);
  }
  auto container = TRY(follower.end());
  end.exit_code = is_killed ? 137 : container.exit_code;
  return end;
}

}  // namespace trainyard::agent
