// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "agent/feeds.hpp"
#include "agent/script.hpp"
#include "agent/stages.hpp"
#include "sandbox/supervise.hpp"

namespace trainyard::agent {

namespace {

std::string hyperparameters_json(const protocol::Assignment& assignment) {
  json::object document;
  for (const auto& [name, value] : assignment.hyperparameters) document[name] = value;
  return json::serialize(document);
}

Result<> write_configuration(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  fs::path config = context.ml / "input/config";
  TRY(write_file_atomically(config / "hyperparameters.json", hyperparameters_json(assignment)));
  TRY(write_file_atomically(config / "inputdataconfig.json",
                            json::serialize(input_data_config(assignment))));
  TRY(write_file_atomically(config / "resourceconfig.json",
                            json::serialize(resource_config(assignment))));
  if (!assignment.checkpoint) return {};
  json::object checkpoint{{"S3Uri", assignment.checkpoint->s3_uri},
                          {"LocalPath", assignment.checkpoint->local_path}};
  return write_file_atomically(config / "checkpointconfig.json", json::serialize(checkpoint));
}

constexpr const char* kSharedMl = "/opt/ml";

// /opt/ml is one path for the whole host: without walls one job has it at a time. The supervisor
// inherits the lease, so that it ends with the script and not with this agent.
Result<> lease_ml(Context& context) {
  Fd fd = TRY(open_file("/opt/ml.lock", O_RDWR | O_CREAT, 0600));
  bool has_told = false;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (!std::exchange(has_told, true)) {
      context.say("Waiting for /opt/ml: without a sandbox jobs run one after another.");
    }
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock guard(mutex);
    never.wait_for(guard, context.stop, std::chrono::milliseconds(200), [] { return false; });
    if (context.stop.stop_requested()) return fail(Code::cancelled, "stopped");
  }
  std::error_code error;
  if (fs::is_symlink(kSharedMl, error)) fs::remove(kSharedMl, error);
  fs::create_directory_symlink(context.ml, kSharedMl, error);
  if (error) return fail_errno(error.value(), "making /opt/ml");
  context.ml_lease = std::move(fd);
  return {};
}

Result<> enter_process_isolation(Context& context, std::string_view why) {
  context.isolation = sandbox::Isolation::process;
  context.say(
      fmt::format("WARNING: this job is NOT walled off: {}. Its script runs with the rights of "
                  "the service's user and sees this machine's files.",
                  why));
  auto leased = lease_ml(context);
  if (leased || leased.error().code == Code::cancelled) return leased;
  context.shown_ml = context.ml.string();
  context.say(
      fmt::format("WARNING: /opt/ml cannot be lent here ({}); the job's files are at {}, see "
                  "SAGEMAKER_BASE_DIR and the SM_* variables.",
                  leased.error().message, context.shown_ml));
  return {};
}

Result<> choose_isolation(Context& context) {
  const std::string& wanted = context.assignment.host_settings.isolation;
  context.isolation = sandbox::Isolation::sandbox;
  if (wanted == "process") return enter_process_isolation(context, "isolation = \"process\"");
  auto can = sandbox::probe();
  if (can) return {};
  if (wanted == "sandbox") {
    return client_error(fmt::format(
        "This host cannot wall jobs off and isolation is \"sandbox\": {}", can.error().message));
  }
  return enter_process_isolation(context, can.error().message);
}

// What a client may count on and does not get is said, never left out silently.
void say_what_differs(const Context& context) {
  for (const std::string& notice : context.assignment.notices) context.say("Note: " + notice + ".");
}

}  // namespace

void give_back_ml(const Context& context) {
  std::error_code error;
  if (fs::read_symlink(kSharedMl, error) == context.ml) fs::remove(kSharedMl, error);
}

Result<> prepare(Context& context) {
  // An agent that was killed may have left pip behind.
  if (auto setup = sandbox::find_supervisor(context.folder / "setup.pid")) {
    sandbox::kill_tree(*setup);
  }
  stop_feeds(context.folder);
  TRY(remove_tree(context.ml));
  for (const char* name :
       {"code", "model", "input/config", "input/data", "output/data", "checkpoints"}) {
    TRY(make_directories(context.ml / name));
  }
  for (const char* name : {"tmp", "home", "checkpoints", "channels"}) {
    TRY(remove_tree(context.folder / name));
    TRY(make_directories(context.folder / name));
  }
  for (const Channel& channel : context.assignment.channels) {
    if (channel.input_mode == InputMode::pipe) continue;
    TRY(make_directories(context.ml / "input/data" / channel.name));
  }
  if (!context.is_in_container()) TRY(choose_isolation(context));
  say_what_differs(context);
  return write_configuration(context);
}

}  // namespace trainyard::agent
