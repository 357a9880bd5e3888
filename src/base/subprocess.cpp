// SPDX-License-Identifier: Apache-2.0
#include "base/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.hpp"

namespace trainyard {

namespace {

using std::chrono::steady_clock;
constexpr size_t kKeptOutput = 64 << 10;

// A child in its own group; whatever is left of the group dies with this object.
class Child {
 public:
  static Result<Child> spawn(const Command& command, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (!command.working_dir.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions, command.working_dir.c_str());
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    auto arguments = command.arguments;
    auto environment = merged_environment(command.variables);
    pid_t pid = -1;
    int error = ::posix_spawnp(&pid, arguments[0].c_str(), &actions, &attributes,
                               pointers(arguments).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) return fail_errno(error, "starting " + arguments[0]);
    return Child(pid);
  }

  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pid_fd_(std::move(other.pid_fd_)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ > 0) wait();
  }

  int fd() const { return pid_fd_.get(); }

  int wait() {
    siginfo_t info{};
    if (!has_ended()) ::kill(-pid_, SIGKILL);
    // The zombie keeps the group's number from being reused until the group is killed.
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    ::kill(-pid_, SIGKILL);
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    pid_ = -1;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  }

 private:
  explicit Child(pid_t pid)
      : pid_(pid), pid_fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

  bool has_ended() const {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | WNOHANG);
    return info.si_pid != 0;
  }

  pid_t pid_;
  Fd pid_fd_;
};

int milliseconds_left(steady_clock::time_point deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

// Reads all that is in the pipe now; false at its end.
bool drain(int pipe, const std::function<void(std::string_view)>& take) {
  std::array<char, 16384> chunk;
  for (;;) {
    ssize_t count = ::read(pipe, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    take({chunk.data(), static_cast<size_t>(count)});
  }
}

Result<> follow(const Child& child, int pipe, const Command& command, std::stop_token stop,
                const std::function<void(std::string_view)>& take) {
  Fd cancel(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::stop_callback on_stop(stop, [&] { ::eventfd_write(cancel.get(), 1); });
  auto deadline = steady_clock::now() + command.timeout;
  bool is_open = true;
  for (;;) {
    std::array<pollfd, 3> watched{
        {{child.fd(), POLLIN, 0}, {cancel.get(), POLLIN, 0}, {is_open ? pipe : -1, POLLIN, 0}}};
    int ready = ::poll(watched.data(), watched.size(), milliseconds_left(deadline));
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "waiting");
    if (is_open) is_open = drain(pipe, take);
    if (watched[1].revents != 0) return fail(Code::cancelled, "stopped");
    if (watched[0].revents != 0) return {};
    if (steady_clock::now() >= deadline) {
      return fail(Code::timeout, "{} did not end within {} s", command.arguments[0],
                  command.timeout.count() / 1000);
    }
  }
}

}  // namespace

Result<Ended> run(const Command& command, std::stop_token stop) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  Child child = TRY(Child::spawn(command, command.is_attached ? STDERR_FILENO : write_end.get()));
  write_end.reset();

  Ended ended;
  LineSplitter lines([&](std::string_view line) {
    if (command.on_line) command.on_line(line);
  });
  auto take = [&](std::string_view bytes) {
    lines.push(bytes);
    ended.output += bytes;
    if (ended.output.size() > 2 * kKeptOutput) {
      ended.output.erase(0, ended.output.size() - kKeptOutput);
    }
  };
  TRY(follow(child, read_end.get(), command, stop, take));
  drain(read_end.get(), take);
  lines.finish();
  ended.exit_code = child.wait();
  return ended;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> merged_environment(const std::vector<std::string>& variables) {
  std::vector<std::string> result = variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    std::string_view name = text.substr(0, text.find('=') + 1);
    bool is_set = std::any_of(variables.begin(), variables.end(),
                              [&](const std::string& other) { return other.starts_with(name); });
    if (!is_set) result.emplace_back(text);
  }
  return result;
}

std::optional<fs::path> find_program(std::string_view name) {
  if (name.find('/') != std::string_view::npos) {
    return ::access(std::string(name).c_str(), X_OK) == 0 ? std::optional<fs::path>(name)
                                                          : std::nullopt;
  }
  const char* path = std::getenv("PATH");
  for (std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    fs::path candidate = fs::path(folder) / name;
    std::error_code error;
    if (::access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate, error)) {
      return candidate;
    }
  }
  return std::nullopt;
}

void LineSplitter::push(std::string_view bytes) {
  for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    partial_ += bytes.substr(0, end);
    on_line_(partial_);
    partial_.clear();
    bytes.remove_prefix(end + 1);
  }
  partial_ += bytes;
}

void LineSplitter::finish() {
  if (!partial_.empty()) on_line_(std::exchange(partial_, {}));
}

}  // namespace trainyard
