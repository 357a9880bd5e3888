// SPDX-License-Identifier: Apache-2.0
#include "cli/foreground.hpp"

#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>

#include "base/subprocess.hpp"

namespace trainyard::cli {

Foreground::Foreground() {
  sigemptyset(&taken_);
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD}) {
    sigaddset(&taken_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &taken_, &mask_before_);
  ::sigaction(SIGPIPE, nullptr, &pipe_before_);
}

Foreground::~Foreground() {
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

Result<int> Foreground::run(std::vector<std::string> arguments,
                            std::vector<std::string> environment) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &mask_before_);
  sigset_t defaults;
  sigemptyset(&defaults);
  if (pipe_before_.sa_handler == SIG_DFL) sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  int error = ::posix_spawnp(&pid, arguments[0].c_str(), nullptr, &attributes,
                             pointers(arguments).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  if (error == ENOENT) return fail(Code::not_found, "no program '{}' is found", arguments[0]);
  if (error != 0) return fail_errno(error, "starting " + arguments[0]);
  for (;;) {
    siginfo_t info{};
    int signal = ::sigwaitinfo(&taken_, &info);
    if (signal == SIGCHLD) {
      siginfo_t ended{};
      ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG);
      if (ended.si_pid == 0) continue;
      return ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status;
    }
    // What the terminal sends (Ctrl-C) goes to the whole group: the program has it already.
    bool is_from_terminal = info.si_code > 0;
    if (signal > 0 && !is_from_terminal) ::kill(pid, signal);
  }
}

}  // namespace trainyard::cli
