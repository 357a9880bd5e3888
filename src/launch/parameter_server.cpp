// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "base/subprocess.hpp"
#include "launch/children.hpp"
#include "launch/roles.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kLookAgain{1};
// Of a script that may hang with its server gone.
constexpr std::chrono::seconds kGrace{5};

// The server and the script of one instance.
class Pair {
 public:
  explicit Pair(const Arrangement& arrangement) : arrangement_(arrangement) {}

  Result<int> run() {
    SpawnOptions beside;
    beside.has_pipe = true;
    // A script that is asked to end may have to save what its servers hold.
    beside.ignores_sigterm = true;
    beside.leads_its_group = true;
    beside.variables = {"CUDA_VISIBLE_DEVICES="};
    server_ = TRY(spawn(arrangement_.server, beside));
    script_ = TRY(spawn(arrangement_.command));
    while (!exit_code_) turn(deadline_);
    if (*exit_code_ == 0) await_leader();
    ::kill(-server_.pid, SIGKILL);
    lines_.finish();
    return *exit_code_;
  }

 private:
  // One turn of the loop: what was written, who has ended.
  void turn(std::optional<Steady::time_point> until) {
    auto ready = wait_for({signals_.descriptor(), server_.output.get()}, until);
    if (ready[1]) {
      auto bytes = read_some(server_.output.get());
      if (bytes) lines_.push(*bytes);
      if (!bytes) server_.output.reset();
    }
    signals_.is_stop_asked();
    auto ended = signals_.reap();
    for (const Gone& gone : ended) note(gone);
    if (deadline_ && Steady::now() >= *deadline_ && !exit_code_) ::kill(script_.pid, SIGKILL);
  }

  void note(const Gone& gone) {
    if (gone.pid == script_.pid) exit_code_ = is_server_lost_ ? 1 : gone.exit_code;
    if (gone.pid != server_.pid || exit_code_) return;
    is_server_lost_ = true;
    say(
        fmt::format("ERROR: the parameter server of {} ended with exit code {} while the script "
                    "was running; what it printed begins with [ps]",
                    arrangement_.host, gone.exit_code));
    ::kill(script_.pid, SIGTERM);
    deadline_ = Steady::now() + kGrace;
  }

  void await_leader() {
    if (arrangement_.host == arrangement_.leader()) return;
    say(fmt::format("The script has ended; its parameter server goes on until {}:{} is closed",
                    arrangement_.leader(), arrangement_.port));
    while (!signals_.is_stop_asked() && is_listening(arrangement_.leader(), arrangement_.port)) {
      turn(Steady::now() + kLookAgain);
    }
  }

  const Arrangement& arrangement_;
  Signals signals_;
  LineSplitter lines_{[](std::string_view line) { say("[ps] " + std::string(line)); }};
  Child server_;
  Child script_;
  bool is_server_lost_ = false;
  std::optional<int> exit_code_;
  std::optional<Steady::time_point> deadline_;
};

}  // namespace

Result<int> run_with_server(const Arrangement& arrangement) {
  return Pair(arrangement).run();
}

}  // namespace trainyard::launch
