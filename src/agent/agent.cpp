// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.hpp"

#include <fcntl.h>
#include <signal.h>

#include <array>
#include <thread>

#include "agent/failure.hpp"
#include "agent/reporter.hpp"
#include "agent/runner.hpp"
#include "agent/stages.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace trainyard::agent {

namespace {

using protocol::EventKind;
using protocol::Outcome;

constexpr size_t kMaxDiagnosis = 16 << 10;
constexpr std::chrono::seconds kAnswerLimit{2};

// From nothing to the script's start. An agent that was killed on the way begins again.
Result<> get_ready(Context& context) {
  TRY(prepare(context));
  TRY(context.runner->find(context));
  bool is_ready = context.runner->is_at_hand(context);
  if (!context.journal.has(EventKind::downloading)) {
    TRY(context.journal.add(EventKind::downloading,
                            is_ready ? "" : "Downloading the training image"));
  }
  // The environment first: a job that cannot run must not wait for its data (contract.md E.1).
  TRY(context.runner->make(context));
  TRY(download(context));
  TRY(restore_checkpoints(context));
  TRY(join_network(context));
  TRY(context.journal.add(EventKind::progress, "Downloading the training image"));
  return context.runner->install(context);
}

// The script runs, or has ended, under its supervisor: nothing is left to prepare.
Result<> take_over(Context& context) {
  context.runner->take_over(context);
  return take_over_checkpoints(context);
}

// The scripts of all instances start together, once each has what it needs.
Result<> meet_others(Context& context) {
  if (!context.has_peers()) return {};
  if (!context.journal.has(EventKind::ready)) TRY(context.journal.add(EventKind::ready));
  context.await_others(context.stop);
  return {};
}

std::string as_failure_reason(const Error& error) {
  constexpr std::array<std::string_view, 3> kPrefixes = {
      "AlgorithmError: ", "ClientError: ", "InternalServerError: "};
  for (std::string_view prefix : kPrefixes) {
    if (error.message.starts_with(prefix)) return cut_middle(error.message, kMaxFailureReason);
  }
  return cut_middle("InternalServerError: We encountered an internal error. Please try again. (" +
                        error.message + ")",
                    kMaxFailureReason);
}

// The whole journey. Its end is the journal's last event.
Result<> travel(Context& context) {
  Journal& journal = context.journal;
  if (journal.has(EventKind::finished)) return {};
  if (!journal.has(EventKind::preparing)) TRY(journal.add(EventKind::preparing));
  std::error_code error;
  bool was_started = fs::exists(context.folder / "run.json", error);
  auto ready = was_started ? take_over(context) : get_ready(context);
  Outcome before_start = context.is_interrupted ? Outcome::interrupted : Outcome::stopped;
  if (!ready && ready.error().code == Code::cancelled) {
    return journal.finish(before_start, "", false);
  }
  if (!ready) return journal.finish(Outcome::failed, as_failure_reason(ready.error()), false);
  if (ready && !was_started) TRY(meet_others(context));
  if (context.stop.stop_requested() && !was_started) {
    return journal.finish(before_start, "", false);
  }

  auto ran = run_script(context);
  if (!ran && ran.error().code != Code::invalid) {
    return journal.finish(Outcome::failed, as_failure_reason(ran.error()), false);
  }
  if (context.is_interrupted) return journal.finish(Outcome::interrupted, "", false);
  if (!ran) context.say(ran.error().message);
  TRY(journal.add(EventKind::uploading));
  auto uploaded = upload(context);
  if (!ran) {
    return journal.finish(Outcome::failed, as_failure_reason(ran.error()), uploaded.has_value(),
                          cut_middle(context.diagnosis, kMaxDiagnosis));
  }
  if (!uploaded) return journal.finish(Outcome::failed, as_failure_reason(uploaded.error()), false);
  if (context.is_stopped_by_time) {
    return journal.finish(Outcome::max_runtime_exceeded, "", true);
  }
  bool was_stopped = journal.has(EventKind::stopping) || context.is_given_up;
  return journal.finish(was_stopped ? Outcome::stopped : Outcome::completed, "", true);
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// A thread that calls `on_signal` for each SIGTERM, until it is told to end.
class SignalListener {
 public:
  explicit SignalListener(std::function<void()> on_signal)
      : thread_([on_signal = std::move(on_signal)](std::stop_token stop) {
          sigset_t signals = ending_signals();
          timespec interval{0, 100'000'000};
          while (!stop.stop_requested()) {
            if (sigtimedwait(&signals, nullptr, &interval) > 0) on_signal();
          }
        }) {}

 private:
  std::jthread thread_;
};

}  // namespace

Result<> run_agent(const fs::path& assignment_file, const fs::path& program) {
  sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  auto document = TRY(json::parse_object(TRY(read_file(assignment_file))));
  auto assignment = TRY(protocol::parse_assignment(document));
  protocol::keep_channels_of_host(assignment);
  fs::path folder = assignment.host_settings.job_dir;
  SystemClock clock;
  auto journal = TRY(Journal::open(folder / "journal.json", clock));
  TRY(open_file(folder / "log", O_WRONLY | O_CREAT, 0600));

  std::stop_source stop;
  Context context{assignment, folder, program, *journal, stop.get_token(), clock};
  context.ml = folder / "ml";
  context.runner = make_runner(context);
  Reporter reporter(assignment, folder / "log", *journal, clock, [&](protocol::Command command) {
    if (command == protocol::Command::interrupt) context.is_interrupted = true;
    if (command == protocol::Command::give_up) context.is_given_up = true;
    stop.request_stop();
  });
  context.await_others = [&](const std::stop_token& until) { return reporter.await_others(until); };
  SignalListener on_signal([&] {
    // Why is the server's to say; where it cannot be asked it is a stop.
    reporter.ask(kAnswerLimit);
    stop.request_stop();
  });
  TRY(travel(context));
  context.runner->clean_up(context);
  give_back_ml(context);
  reporter.deliver_rest();
  return {};
}

}  // namespace trainyard::agent
