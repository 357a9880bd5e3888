// SPDX-License-Identifier: Apache-2.0
#include <net/if.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/subprocess.hpp"
#include "launch/children.hpp"
#include "launch/rank_tags.hpp"
#include "launch/roles.hpp"
#include "launch/shell_script.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kKnockAgain{100};
constexpr std::chrono::seconds kWorkersLimit{3600};  // contract.md H
constexpr std::chrono::seconds kGrace{5};            // of an mpirun that lost a worker
// The worker's instance has failed then, and is to be the one that the job's failure names.
constexpr std::chrono::seconds kTimeForTheCause{15};
constexpr std::chrono::milliseconds kTimeForTheNews{300};
constexpr int kStoppedBySignal = 128 + SIGTERM;

// "algo-1:2" as this host is called where it has no name of its own, without walls.
std::string with_local_name(const Arrangement& arrangement, const std::string& hosts) {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  if (arrangement.hosts.size() > 1 || arrangement.host == name.data()) return hosts;
  return "localhost" + hosts.substr(std::min(arrangement.host.size(), hosts.size()));
}

// The command as this instance can run it: with our shell, without variables that are not set (of
// which mpirun would warn), and over the loopback where an only instance has no eth0.
std::vector<std::string> runnable(const Arrangement& arrangement, const ShellScripts& scripts) {
  const auto& words = arrangement.command;
  bool has_interface = ::if_nametoindex("eth0") != 0;
  std::vector<std::string> command{words[0], "-mca", "plm_rsh_agent", scripts.shell(),
                                   "--leave-session-attached"};
  for (size_t i = 1; i < words.size(); ++i) {
    bool is_export = words[i] == "-x" && i + 1 < words.size();
    if (is_export && words[i + 1].find('=') == std::string::npos &&
        ::getenv(words[i + 1].c_str()) == nullptr) {
      ++i;
      continue;
    }
    if (words[i - 1] == "--host") {
      command.push_back(with_local_name(arrangement, words[i]));
      continue;
    }
    bool is_interface = words[i] == "eth0" && words[i - 1].ends_with("_tcp_if_include");
    command.push_back(is_interface && !has_interface ? "lo" : words[i]);
  }
  command.push_back(scripts.rank());
  for (const std::string& word : arrangement.ranks) {
    bool is_python = &word == arrangement.ranks.data() && word == arrangement.python;
    command.push_back(is_python ? kOwnPython : word);
  }
  return command;
}

class Leader {
 public:
  explicit Leader(const Arrangement& arrangement) : arrangement_(arrangement) {}

  Result<int> run(const Callback& callback) {
    TRY(meet_workers());
    if (signals_.is_stop_asked()) return kStoppedBySignal;
    auto scripts = TRY(ShellScripts::write(arrangement_, callback));
    SpawnOptions options;
    options.has_pipe = true;
    mpirun_ = TRY(spawn(runnable(arrangement_, scripts), options));
    while (!exit_code_) turn();
    while (auto bytes = drain()) lines_.push(*bytes);
    lines_.finish();
    if (*exit_code_ != 0) await_cause();
    for (const Worker& worker : workers_) {
      if (worker.connection) static_cast<void>(write_all(worker.connection.get(), "end\n"));
    }
    return is_worker_lost_ && *exit_code_ == 0 ? 1 : *exit_code_;
  }

 private:
  struct Worker {
    std::string host;
    Fd connection;
  };

  Result<> meet_workers() {
    auto limit = Steady::now() + kWorkersLimit;
    for (const std::string& host : arrangement_.hosts) {
      if (host == arrangement_.host) continue;
      for (;;) {
        auto asked = ask(host, arrangement_.port, arrangement_.secret, {{"do", "join"}});
        if (asked) workers_.push_back({host, *std::move(asked)});
        if (asked || signals_.is_stop_asked()) break;
        if (asked.error().code != Code::unavailable || Steady::now() > limit) {
          return fail(Code::unavailable, "mpirun cannot reach an instance: {}",
                      asked.error().message);
        }
        wait_for({signals_.descriptor()}, Steady::now() + kKnockAgain);
      }
    }
    return {};
  }

  void turn() {
    std::vector<int> descriptors{signals_.descriptor(), mpirun_.output.get()};
    for (const Worker& worker : workers_) descriptors.push_back(worker.connection.get());
    auto ready = wait_for(descriptors, deadline_);
    if (ready[1]) read_lines();
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (ready[i + 2]) lose(workers_[i]);
    }
    // A stop reaches the ranks themselves, on all instances; mpirun ends when they have ended.
    signals_.is_stop_asked();
    auto ended = signals_.reap();
    for (const Gone& gone : ended) {
      if (gone.pid == mpirun_.pid) exit_code_ = gone.exit_code;
    }
    if (deadline_ && Steady::now() >= *deadline_ && !exit_code_) ::kill(mpirun_.pid, SIGKILL);
  }

  void read_lines() {
    auto bytes = read_some(mpirun_.output.get());
    if (bytes) lines_.push(*bytes);
    if (!bytes) mpirun_.output.reset();
  }

  // What is left in the pipe; something that outlives mpirun may hold it open.
  std::optional<std::string> drain() {
    if (!mpirun_.output || !wait_for({mpirun_.output.get()}, Steady::now())[0]) return std::nullopt;
    return read_some(mpirun_.output.get());
  }

  // A worker says nothing on this connection: it has gone.
  void lose(Worker& worker) {
    worker.connection.reset();
    if (std::exchange(is_worker_lost_, true)) return;
    say(fmt::format("ERROR: {} was lost", worker.host));
    if (exit_code_) return;
    ::kill(mpirun_.pid, SIGTERM);
    deadline_ = Steady::now() + kGrace;
  }

  // Where mpirun failed because a worker's instance did, that one is named by who noticed it.
  void await_cause() {
    std::vector<int> connections;
    for (const Worker& worker : workers_) connections.push_back(worker.connection.get());
    auto ready = wait_for(connections, Steady::now() + kTimeForTheNews);
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (ready[i]) lose(workers_[i]);
    }
    auto limit = Steady::now() + kTimeForTheCause;
    while (is_worker_lost_ && !signals_.is_stop_asked() && Steady::now() < limit) {
      wait_for({signals_.descriptor()}, limit);
    }
  }

  const Arrangement& arrangement_;
  Signals signals_;
  RankLines pieces_;
  LineSplitter lines_{[this](std::string_view line) {
    say(with_host_of_rank(pieces_.join(line), arrangement_.hosts, arrangement_.processes_per_host));
  }};
  std::vector<Worker> workers_;
  Child mpirun_;
  bool is_worker_lost_ = false;
  std::optional<int> exit_code_;
  std::optional<Steady::time_point> deadline_;
};

}  // namespace

Result<int> lead(const Arrangement& arrangement, const Callback& callback) {
  return Leader(arrangement).run(callback);
}

}  // namespace trainyard::launch
