// SPDX-License-Identifier: Apache-2.0
#include "network/outside.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/subprocess.hpp"

namespace trainyard::network {

namespace {

constexpr const char* kProgram = "slirp4netns";
constexpr int kReadyMs = 5000;

struct Pipe {
  Fd read;
  Fd write;
};

// Above the numbers that the child's are made at.
Result<Pipe> make_pipe() {
  constexpr int kLeast = 10;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  Fd read(ends[0]);
  Fd write(ends[1]);
  Pipe made;
  made.read.reset(::fcntl(read.get(), F_DUPFD_CLOEXEC, kLeast));
  made.write.reset(::fcntl(write.get(), F_DUPFD_CLOEXEC, kLeast));
  if (!made.read || !made.write) return fail_errno(errno, "making a pipe");
  return made;
}

std::string path_of(const Fd& fd) {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), fd.get());
}

constexpr int kLeashAt = 3;
constexpr int kReadyAt = 4;

std::vector<std::string> command_of(const Built& network) {
  std::vector<std::string> command = {
      kProgram, "--netns-type=path", fmt::format("--cidr={}", kRange), "--mtu=65520",
      // Else the gateway's address would be the host's 127.0.0.1.
      "--disable-host-loopback",
      // It sees an empty file system and keeps no rights; of system calls the few that it needs.
      "--enable-sandbox", "--enable-seccomp", fmt::format("--exit-fd={}", kLeashAt),
      fmt::format("--ready-fd={}", kReadyAt)};
  if (network.user) command.push_back("--userns-path=" + path_of(network.user));
  command.push_back(path_of(network.job));
  command.emplace_back(kTap);
  return command;
}

Result<pid_t> spawn(std::vector<std::string> command, int leash, int ready) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, leash, kLeashAt);
  posix_spawn_file_actions_adddup2(&actions, ready, kReadyAt);
  posix_spawn_file_actions_addclosefrom_np(&actions, kReadyAt + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  int error =
      ::posix_spawnp(&pid, kProgram, &actions, &attributes, pointers(command).data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, fmt::format("starting {}", kProgram));
  return pid;
}

}  // namespace

std::optional<std::string> missing_for_outside() {
  if (find_program(kProgram)) return std::nullopt;
  return fmt::format("{0} is not installed: apt-get install {0}", kProgram);
}

Result<Outside> Outside::start(const Built& network) {
  Pipe leash = TRY(make_pipe());
  Pipe ready = TRY(make_pipe());
  Outside outside;
  outside.pid_ = TRY(spawn(command_of(network), leash.read.get(), ready.write.get()));
  outside.process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, outside.pid_, 0)));
  outside.leash_ = std::move(leash.write);
  ready.write.reset();
  pollfd answer{ready.read.get(), POLLIN, 0};
  ::poll(&answer, 1, kReadyMs);
  char byte = 0;
  if ((answer.revents & POLLIN) != 0 && ::read(ready.read.get(), &byte, 1) == 1) return outside;
  return fail(Code::unavailable, "{} did not start; its own words are in the network's log",
              kProgram);
}

Outside::~Outside() {
  if (!process_) return;
  ::kill(pid_, SIGKILL);  // our child that nobody has waited for: the number is its own
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace trainyard::network
