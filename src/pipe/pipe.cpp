// SPDX-License-Identifier: Apache-2.0
#include "pipe/pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipe/feeder.hpp"

namespace trainyard::pipe {

namespace {

constexpr size_t kPlanLimit = size_t{4} << 30;  // some ten million objects
constexpr int kStopMs = 5000;
constexpr int kReadyFd = 3;  // of the process, where start() waits for its end

fs::path pid_file(const fs::path& state) {
  return state / "feed.pid";
}

fs::path ready_file(const fs::path& state) {
  return state / "feed.ready";
}

// True when it has ended within the time.
bool await_end(const ProcessId& process, int timeout_ms) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd || !is_alive(process)) return true;
  pollfd ended{fd.get(), POLLIN, 0};
  int count = -1;
  do {
    count = ::poll(&ended, 1, timeout_ms);
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

// Lets a process that waits in start() go on; started by hand there is none.
void close_ready_fd() {
  struct stat info {};
  if (::fstat(kReadyFd, &info) == 0 && S_ISFIFO(info.st_mode)) ::close(kReadyFd);
}

Result<> run(const fs::path& file, const sigset_t& signals) {
  PipePlan plan = TRY(parse_plan(TRY(read_file(file, kPlanLimit))));
  // It holds credentials, and no second process starts from it.
  ::unlink(file.c_str());
  fs::path state = plan.state;
  auto self = identify(::getpid());
  if (!self) return fail(Code::internal, "no /proc/self");
  TRY(write_process(pid_file(state), *self));
  auto feeder = TRY(Feeder::start(std::move(plan)));
  TRY(write_file_atomically(ready_file(state), "", 0600));
  close_ready_fd();
  int signal = 0;
  ::sigwait(&signals, &signal);
  return {};
}

}  // namespace

fs::path error_file(const fs::path& state) {
  return state / "feed.error";
}

Result<ProcessId> start(const fs::path& program, const PipePlan& plan) {
  TRY(check(plan));
  for (const fs::path& file :
       {pid_file(plan.state), ready_file(plan.state), error_file(plan.state)}) {
    ::unlink(file.c_str());  // of a feeder before
  }
  fs::path file = plan.state / "feed.plan";
  TRY(write_file_atomically(file, serialize(plan), 0600));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  Fd ready(ends[0]);
  Fd inherited(ends[1]);
  auto process = TRY(start_detached({program.string(), "feed", file.string()},
                                    plan.state / "feed.log", inherited.get()));
  inherited.reset();
  char byte = 0;
  while (::read(ready.get(), &byte, 1) < 0 && errno == EINTR) {
  }  // ready, or ended
  std::error_code error;
  if (fs::exists(ready_file(plan.state), error)) return process;
  send_signal(process, SIGKILL);
  ::waitpid(process.pid, nullptr, 0);
  ::unlink(file.c_str());
  auto why = first_error(plan.state);
  return fail(Code::unavailable, "starting the pipes: {}", why.value_or("the process ended"));
}

std::optional<ProcessId> find(const fs::path& state) {
  auto process = read_process(pid_file(state));
  return process && is_alive(*process) ? process : std::nullopt;
}

std::optional<std::string> first_error(const fs::path& state) {
  auto text = read_file(error_file(state), 1 << 20);
  if (!text) return std::nullopt;
  return *std::move(text);
}

void stop(const fs::path& state) {
  auto process = find(state);
  if (!process) return;
  send_signal(*process, SIGTERM);
  if (!await_end(*process, kStopMs)) {
    send_signal(*process, SIGKILL);
    await_end(*process, -1);
  }
  ::waitpid(process->pid, nullptr, WNOHANG);  // where it is a child of ours
}

Result<> feed(const fs::path& file) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // of all threads to come
  ::signal(SIGPIPE, SIG_IGN);
  auto done = run(file, signals);
  if (done) return done;
  static_cast<void>(
      write_file_atomically(error_file(file.parent_path()), done.error().message, 0600));
  return done;
}

}  // namespace trainyard::pipe
