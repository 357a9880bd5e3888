// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "base/file.hpp"
#include "launch/children.hpp"
#include "launch/roles.hpp"
#include "launch/shell_script.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::minutes kLeaderLimit{20};  // contract.md H
// The leader's instance has failed then, and is to be the one that the job's failure names.
constexpr std::chrono::seconds kTimeForTheCause{15};
constexpr int kStoppedBySignal = 128 + SIGTERM;

class Worker {
 public:
  explicit Worker(const Arrangement& arrangement) : arrangement_(arrangement) {}

  Result<int> run(const Callback& callback) {
    auto scripts = TRY(ShellScripts::write(arrangement_, callback));
    auto listening = listen_on(arrangement_.port);
    if (!listening) {
      return fail(Code::unavailable,
                  "{}; MPI on several instances needs a network for each of them",
                  listening.error().message);
    }
    listener_ = *std::move(listening);
    say(fmt::format("Waiting for mpirun of {}", arrangement_.leader()));
    while (!end_) TRY(turn());
    for (const Daemon& daemon : daemons_) ::kill(-daemon.pid, SIGTERM);
    return *end_;
  }

 private:
  struct Daemon {
    pid_t pid = -1;
    Fd connection;  // of the mpirun that asked for it
  };

  Result<> turn() {
    std::vector<int> descriptors{signals_.descriptor(), listener_.get(), leader_.get()};
    for (const Daemon& daemon : daemons_) descriptors.push_back(daemon.connection.get());
    auto ready = wait_for(descriptors, deadline_);
    for (size_t i = 0; i < daemons_.size(); ++i) {
      if (ready[i + 3]) abandon(daemons_[i]);
    }
    if (ready[2]) hear_leader();
    bool is_stop_asked = signals_.is_stop_asked();
    auto ended = signals_.reap();
    for (const Gone& gone : ended) report(gone);
    // A stop reaches the ranks themselves; their end is mpirun's.
    if (is_stop_asked && daemons_.empty() && !end_) end_ = kStoppedBySignal;
    if (ready[1]) TRY(take_request());
    if (Steady::now() < deadline_ || end_) return {};
    if (is_leader_lost_) return fail(Code::unavailable, "{} was lost", arrangement_.leader());
    if (!leader_)
      return fail(Code::unavailable, "mpirun of {} did not come", arrangement_.leader());
    deadline_ = Steady::time_point::max();
    return {};
  }

  Result<> take_request() {
    auto request = accept_request(listener_.get(), arrangement_.secret);
    if (!request) {
      say("WARNING: refused a connection: " + request.error().message);
      return {};
    }
    std::string what = json::find_string(request->document, "do").value_or("");
    if (what == "join" && !leader_) {
      leader_ = std::move(request->connection);
      deadline_ = Steady::time_point::max();
    } else if (what == "run") {
      return start_daemon(*std::move(request));
    }
    return {};
  }

  Result<> start_daemon(Request request) {
    std::string command = json::find_string(request.document, "command").value_or("");
    SpawnOptions options;
    options.leads_its_group = true;
    // A stop concerns the ranks: the shell before the daemon lets it pass.
    Child child = TRY(spawn({"/bin/sh", "-c", "trap : TERM; " + command}, options));
    daemons_.push_back({child.pid, std::move(request.connection)});
    return {};
  }

  // "end", or the leader is gone.
  void hear_leader() {
    auto line = read_line(leader_.get());
    if (line == "end") end_ = 0;
    if (line) return;
    leader_.reset();
    is_leader_lost_ = true;
    deadline_ = Steady::now() + kTimeForTheCause;
  }

  // Its mpirun does not wait for it any more.
  static void abandon(Daemon& daemon) {
    daemon.connection.reset();
    ::kill(-daemon.pid, SIGTERM);
  }

  void report(const Gone& gone) {
    for (auto daemon = daemons_.begin(); daemon != daemons_.end(); ++daemon) {
      if (daemon->pid != gone.pid) continue;
      if (daemon->connection) {
        static_cast<void>(
            write_all(daemon->connection.get(), fmt::format("exit {}\n", gone.exit_code)));
      }
      daemons_.erase(daemon);
      return;
    }
  }

  const Arrangement& arrangement_;
  Signals signals_;
  Fd listener_;
  Fd leader_;
  bool is_leader_lost_ = false;
  std::vector<Daemon> daemons_;
  std::optional<int> end_;
  Steady::time_point deadline_ = Steady::now() + kLeaderLimit;
};

}  // namespace

Result<int> work(const Arrangement& arrangement, const Callback& callback) {
  return Worker(arrangement).run(callback);
}

}  // namespace trainyard::launch
