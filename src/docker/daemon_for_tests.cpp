// SPDX-License-Identifier: Apache-2.0
#include "docker/daemon_for_tests.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "docker/client.hpp"

namespace trainyard::docker {

namespace {

constexpr int kPatienceMs = 60'000;
constexpr int kPollMs = 50;

Result<> run_well(std::vector<std::string> arguments) {
  Command command;
  command.arguments = std::move(arguments);
  Ended ended = TRY(run(command));
  if (ended.exit_code == 0) return {};
  return fail(Code::internal, "{}: {}", command.arguments[0], ended.output);
}

// What a daemon that was killed left mounted.
void unmount_below(const fs::path& folder) {
  std::string mounts = read_file("/proc/self/mounts").value_or("");
  for (std::string_view line : split(mounts, '\n')) {
    auto words = split(line, ' ');
    if (words.size() < 2 || !words[1].starts_with(folder.string())) continue;
    ::umount2(std::string(words[1]).c_str(), MNT_DETACH);
  }
}

}  // namespace

std::string DaemonForTests::obstacle() {
  if (::geteuid() != 0) return "a Docker daemon of the test's own needs root";
  for (const char* program : {"dockerd", "containerd", "unshare", "ip", "busybox"}) {
    if (!find_program(program)) return std::string(program) + " is not installed (tools/setup)";
  }
  return "";
}

Result<std::unique_ptr<DaemonForTests>> DaemonForTests::start() {
  fs::path folder = fs::temp_directory_path() / ("trainyard-docker-" + random_hex(6));
  TRY(make_directories(folder, 0700));
  std::unique_ptr<DaemonForTests> daemon(new DaemonForTests(folder));
  std::string command = fmt::format(
      "exec unshare --net sh -c 'ip link set lo up && exec dockerd --data-root {0}/data "
      "--exec-root {0}/exec --pidfile "
      "{0}/pid --host unix://{0}/docker.sock --bridge none --storage-driver vfs "
      "--userland-proxy=false'",
      folder.string());
  daemon->process_ = TRY(start_detached({"/bin/sh", "-c", command}, folder / "log"));
  for (int waited = 0; waited < kPatienceMs; waited += kPollMs) {
    if (Client::connect(daemon->host())) return daemon;
    if (!is_alive(daemon->process_)) break;
    ::poll(nullptr, 0, kPollMs);
  }
  std::string log = read_file(folder / "log").value_or("");
  return fail(Code::internal, "dockerd does not start: {}", cut_middle(log, 4000));
}

DaemonForTests::~DaemonForTests() {
  if (process_.pid > 0) {
    auto below = descendants(process_.pid);
    send_signal(process_, SIGTERM);
    for (int waited = 0; waited < kPatienceMs && is_alive(process_); waited += kPollMs) {
      ::waitpid(process_.pid, nullptr, WNOHANG);
      ::poll(nullptr, 0, kPollMs);
    }
    send_signal(process_, SIGKILL);
    for (const Process& process : below) send_signal(process.id, SIGKILL);
    ::waitpid(process_.pid, nullptr, 0);
  }
  unmount_below(folder_);
  static_cast<void>(remove_tree(folder_));
}

Result<> DaemonForTests::make_image(const std::string& name, const std::string& script,
                                    const std::string& changes) const {
  fs::path root = folder_ / "image";
  TRY(remove_tree(root));
  TRY(make_directories(root / "bin"));
  TRY(make_directories(root / "tmp"));
  auto busybox = find_program("busybox");
  if (!busybox) return fail(Code::not_found, "busybox is not installed");
  std::error_code error;
  fs::copy_file(*busybox, root / "bin/busybox", error);
  for (const char* tool : {"sh", "sleep", "cat", "echo", "id", "ls", "hostname", "seq"}) {
    fs::create_symlink("busybox", root / "bin" / tool, error);
  }
  TRY(write_file_atomically(root / "bin/train", "#!/bin/sh\n" + script + "\n", 0755));
  TRY(run_well({"tar", "-C", root.string(), "-cf", (folder_ / "image.tar").string(), "."}));
  std::string url = "http://docker/v1.40/images/create?fromSrc=-&repo=" + percent_encode(name);
  if (!changes.empty()) url += "&changes=" + percent_encode(changes);
  return run_well({"curl", "-sSf", "--unix-socket", socket().string(), "-X", "POST", "-T",
                   (folder_ / "image.tar").string(), url});
}

}  // namespace trainyard::docker
