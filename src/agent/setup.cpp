// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "agent/child.hpp"
#include "agent/failure.hpp"
#include "agent/script.hpp"
#include "agent/stages.hpp"

namespace trainyard::agent {

namespace {

// pip inside of the walls: for what has no wheel, and for the job's own package, whose set-up code
// is the job's code.
Result<> run_pip(Context& context, std::vector<std::string> arguments, std::string_view kind) {
  ChildPlan plan;
  plan.name = "setup";
  for (const char* ending : {".json", ".pid", ".exit"}) {
    ::unlink((context.folder / (plan.name + ending)).c_str());
  }
  plan.command = {(context.layer / "bin/python").string(), "-m",        "pip", "install",
                  "--disable-pip-version-check",           "--no-input"};
  plan.command.insert(plan.command.end(), arguments.begin(), arguments.end());
  plan.variables = base_variables(context);
  std::error_code error;
  auto begin = fs::file_size(context.log_file(), error);
  ChildEnd end = TRY(run_child(context, plan));
  if (end.is_stopped) return fail(Code::cancelled, "stopped");
  if (end.exit_code == 0) return {};
  std::string output = TRY(read_file(context.log_file(), 1 << 30)).substr(begin);
  return algorithm_error(
      failure_text(kind, end.exit_code, error_message_in(output), shell_quoted(plan.command)) +
      ", exit code: 1");
}

}  // namespace

Result<> install_requirements(Context& context) {
  fs::path code = context.ml / "code";
  std::error_code error;
  Script script = script_of(context.assignment);
  bool is_package = fs::exists(code / "setup.py", error) && !script.program.ends_with(".sh");
  bool has_requirements = fs::is_regular_file(code / "requirements.txt", error);
  bool is_script_mode = context.assignment.entrypoint.empty();
  if (!is_script_mode || (!has_requirements && !is_package)) return {};

  if (has_requirements) {
    context.say("Installing requirements.txt");
    auto say = [&](const std::string& line) { context.say(line); };
    auto installed = context.builder().install(context.environment, context.layer,
                                               code / "requirements.txt", say, context.stop);
    if (!installed && installed.error().code == Code::cancelled) return installed;
    if (!installed) {
      context.say("uv: " + installed.error().message);
      context.say("Trying pip, which also builds packages without a wheel");
      TRY(run_pip(context, {"-r", "requirements.txt"}, "InstallRequirementsError"));
    }
  }
  if (is_package) TRY(run_pip(context, {"--no-build-isolation", "."}, "InstallModuleError"));
  return {};
}

}  // namespace trainyard::agent
