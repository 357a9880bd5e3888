// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "agent/child.hpp"
#include "agent/failure.hpp"
#include "agent/requirements.hpp"
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

// The requirements file, read without following what the source archive may have linked.
Result<std::string> read_requirements(const fs::path& code) {
  return read_file(TRY(path_without_links(code, "requirements.txt")), 1 << 20);
}

// Plain requirements come from the shared cache; everything else is left to pip inside of the
// walls.
Result<> install_file(Context& context, const std::string& text) {
  context.say("Installing requirements.txt");
  if (auto plain = plain_requirements(text)) {
    fs::path file = context.folder / "requirements.txt";
    TRY(write_file_atomically(file, *plain));
    auto say = [&](const std::string& line) { context.say(line); };
    auto installed =
        context.builder().install(context.environment, context.layer, file, say, context.stop);
    if (installed || installed.error().code == Code::cancelled) return installed;
    context.say("uv: " + installed.error().message);
    context.say("Trying pip, which also builds packages without a wheel");
  }
  return run_pip(context, {"-r", "requirements.txt"}, "InstallRequirementsError");
}

}  // namespace

Result<> install_requirements(Context& context) {
  if (!context.assignment.entrypoint.empty()) return {};  // not script mode
  fs::path code = context.ml / "code";
  auto text = read_requirements(code);
  if (text) TRY(install_file(context, *text));
  if (!text && text.error().code != Code::not_found) {
    return client_error("requirements.txt: " + text.error().message);
  }
  bool is_shell = script_of(context.assignment).program.ends_with(".sh");
  if (is_shell || !path_without_links(code, "setup.py")) return {};
  return run_pip(context, {"--no-build-isolation", "."}, "InstallModuleError");
}

}  // namespace trainyard::agent
