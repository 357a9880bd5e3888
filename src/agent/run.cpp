// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/checkpoints.hpp"
#include "agent/evidence.hpp"
#include "agent/failure.hpp"
#include "agent/feeds.hpp"
#include "agent/plan.hpp"
#include "agent/record_check.hpp"
#include "agent/runner.hpp"
#include "agent/saved_model.hpp"
#include "agent/script.hpp"
#include "agent/stages.hpp"
#include "base/text.hpp"

namespace trainyard::agent {

namespace {

Time deadline_of(const Context& context) {
  // MaxRuntime counts from the entry into Training, also for an agent that was started again.
  Time begin = context.clock.now();
  for (const protocol::Event& event : context.journal.events_after(0)) {
    if (event.kind == protocol::EventKind::training) begin = from_epoch_ms(event.time_ms);
  }
  return begin + std::chrono::seconds(context.assignment.max_runtime_seconds);
}

// /opt/ml/output/failure: of the script's making, so never through a link, never all of a huge one.
std::string read_failure_file(const Context& context) {
  auto path = path_without_links(context.ml, "output/failure");
  auto file = path ? open_file(*path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
                   : Result<Fd>(Failure(path.error()));
  struct stat info {};
  if (!file || ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
  std::string text(16 << 10, '\0');
  text.resize(read_at(file->get(), text, 0).value_or(0));
  return to_valid_utf8(trim(text));
}

// The toolkit's mark of how it went; left out where the script put something else in the folder's
// place.
void write_output(const Context& context, const char* name, std::string_view text) {
  auto folder = path_without_links(context.ml, "output");
  if (folder) static_cast<void>(write_file_atomically(*folder / name, text));
}

// A program that the kernel killed could not write why it failed.
std::string with_memory(const std::string& own, const std::string& memory) {
  return own.empty() || memory.empty() ? own + memory : own + "; " + memory;
}

std::string failure_reason(Context& context, const Plan& plan, int exit_code) {
  std::string own = read_failure_file(context);
  Evidence evidence = gather_evidence(context, exit_code);
  Diagnosis diagnosis = diagnose(evidence);
  context.diagnosis = diagnosis.text();
  if (!diagnosis.advice.empty()) context.say("Advice: " + diagnosis.advice + ".");
  if (!plan.is_script_mode) return algorithm_failure(with_memory(own, evidence.memory), exit_code);
  // The toolkit ends with 1 for whatever the script ended with: contract.md G.8.
  if (!own.empty()) return algorithm_failure(own, 1);
  std::string kind = failure_kind(evidence.output, context.recipe.launcher.error_classes);
  std::string text = failure_text(kind, exit_code, diagnosis.detail, shell_quoted(plan.command));
  write_output(context, "failure", text);
  return algorithm_failure(text, 1);
}

// As the TensorFlow images do after a script that went well: contract.md I.1.
void warn_of_missing_model(const Context& context) {
  if (!context.recipe.launcher.has("saved_model_warning")) return;
  auto folder = path_without_links(context.ml, "model");
  if (!folder) return;
  auto warnings = saved_model_warnings(*folder, context.shown_ml + "/model");
  for (const std::string& warning : warnings) context.say("WARNING: " + warning);
}

// The last sync of checkpoints; what a killed script was just writing stays behind.
Result<> sync_checkpoints(const Context& context, const Result<ChildEnd>& ended) {
  constexpr int kFirstSignal = 128;
  if (!context.checkpoints) return {};
  bool is_killed = !ended || ended->exit_code >= kFirstSignal;
  auto synced = context.checkpoints->finish(is_killed ? Moment::killed : Moment::ended);
  if (synced) return {};
  context.say("ERROR: the last checkpoints were not uploaded: " + synced.error().message);
  return client_error("Checkpoint upload failed:" + synced.error().message);
}

// What the end of the script means for the job.
Result<int> conclude(Context& context, const Plan& plan, Result<ChildEnd> ended,
                     std::optional<Error> lost_data) {
  auto synced = sync_checkpoints(context, ended);
  ChildEnd end = TRY(std::move(ended));
  context.is_stopped_by_time = end.is_time_over;
  if (lost_data) return Failure(*std::move(lost_data));
  // Also of a script that went on without them.
  if (auto unread = read_error(context); unread && !end.is_stopped && !end.is_time_over) {
    return Failure(*std::move(unread));
  }
  bool is_failure = end.exit_code != 0 && !end.is_stopped && !end.is_time_over;
  if (!is_failure) {
    TRY(std::move(synced));
    if (end.exit_code == 0 && plan.is_script_mode) {
      warn_of_missing_model(context);
      context.say("Reporting training SUCCESS");
      write_output(context, "success", "");
    }
    return 0;
  }
  return Failure(Error{Code::invalid, failure_reason(context, plan, end.exit_code)});
}

// The program between supervisor and script, where there is one. Its file holds a secret: it is for
// the job's user alone.
Result<> arrange(const Context& context, const Plan& plan, ChildPlan& child) {
  if (!plan.arrangement) return {};
  fs::path file = context.folder / "launch.json";
  child.command = {context.program.string(), "launch", file.string()};
  child.shown = {context.program, file};
  std::error_code error;
  if (fs::exists(context.folder / "run.json", error)) return {};
  TRY(write_file_atomically(file, json::serialize(launch::to_json(*plan.arrangement)), 0400));
  uint32_t user = context.job_user();
  if (user != 0 && ::chown(file.c_str(), user, user) != 0) {
    return fail_errno(errno, "giving " + file.string() + " to the job");
  }
  return {};
}

}  // namespace

Result<int> run_script(Context& context) {
  Plan plan = TRY(context.runner->plan(context));
  if (!context.journal.has(protocol::EventKind::training)) {
    for (const std::string& notice : plan.notices) context.say("Note: " + notice + ".");
    context.say(fmt::format("Invoking script with the following command:\n\n{}\n",
                            shell_quoted(plan.command)));
    std::error_code error;
    TRY(context.journal.set_script_offset(
        static_cast<int64_t>(fs::file_size(context.log_file(), error))));
    TRY(context.journal.add(protocol::EventKind::training));
  }
  FeedWatch feeds(context);
  RecordPatrol patrol(context);
  ChildPlan child{"run", plan.command, plan.variables, deadline_of(context), feeds.failed()};
  TRY(arrange(context, plan, child));
  if (context.checkpoints) context.checkpoints->start();
  auto ended = context.runner->run(context, child);
  // Before they are told to end; what follows may still read the channels.
  auto lost_data = feed_error(context);
  if (!lost_data) TRY(outlive_feeds(context));
  auto outcome = conclude(context, plan, std::move(ended), std::move(lost_data));
  stop_feeds(context.folder);
  return outcome;
}

}  // namespace trainyard::agent
