// SPDX-License-Identifier: Apache-2.0
#include "launch/children.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.hpp"
#include "base/subprocess.hpp"

namespace trainyard::launch {

namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

// In the child. Between fork and exec, with one thread, everything is allowed.
[[noreturn]] void become(std::vector<std::string> command, std::vector<std::string> environment,
                         const SpawnOptions& options, int output) {
  if (output >= 0) {
    ::dup2(output, 1);
    ::dup2(output, 2);
  }
  if (options.leads_its_group) ::setpgid(0, 0);
  if (options.ignores_sigterm) ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(command[0].c_str(), pointers(command).data(), pointers(environment).data());
  say(fmt::format("ERROR: {} cannot be run: {}", command[0], ::strerror(errno)));
  ::_exit(127);
}

}  // namespace

Result<Child> spawn(const std::vector<std::string>& command, const SpawnOptions& options) {
  if (command.empty()) return fail(Code::internal, "there is no command to run");
  std::array<int, 2> ends{-1, -1};
  if (options.has_pipe && ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail_errno(errno, "making a pipe");
  }
  Child child;
  child.output = Fd(ends[0]);
  Fd write_end(ends[1]);
  auto environment = merged_environment(options.variables);
  child.pid = ::fork();
  if (child.pid < 0) return fail_errno(errno, "starting " + command[0]);
  if (child.pid == 0) become(command, std::move(environment), options, write_end.get());
  // Both do it: whoever is first, it is done before somebody signals the group.
  if (options.leads_its_group) ::setpgid(child.pid, child.pid);
  return child;
}

Signals::Signals() {
  sigset_t set = watched_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

Signals::~Signals() {
  sigset_t set = watched_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

bool Signals::is_stop_asked() {
  signalfd_siginfo received{};
  while (::read(fd_.get(), &received, sizeof received) == sizeof received) {
    is_stop_asked_ |= received.ssi_signo == SIGTERM || received.ssi_signo == SIGINT;
  }
  return is_stop_asked_;
}

std::vector<Gone> Signals::reap() {
  std::vector<Gone> gone;
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    gone.push_back({pid, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)});
  }
  return gone;
}

std::vector<bool> wait_for(const std::vector<int>& descriptors,
                           std::optional<std::chrono::steady_clock::time_point> until) {
  std::vector<pollfd> polled;
  for (int descriptor : descriptors) polled.push_back({descriptor, POLLIN, 0});
  int timeout = -1;
  if (until) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*until - std::chrono::steady_clock::now());
    timeout = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
  }
  ::poll(polled.data(), polled.size(), timeout);
  std::vector<bool> ready;
  for (const pollfd& one : polled) ready.push_back(one.revents != 0);
  return ready;
}

std::optional<std::string> read_some(int descriptor) {
  std::string bytes(64 << 10, '\0');
  ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return "";
  if (count <= 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(count));
  return bytes;
}

void say(const std::string& line) {
  static_cast<void>(write_all(STDOUT_FILENO, line + "\n"));
}

}  // namespace trainyard::launch
