// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <exception>

#include "agent/agent.hpp"
#include "main/client_commands.hpp"
#include "main/serve.hpp"
#include "sandbox/supervise.hpp"

namespace {

using trainyard::Result;
namespace fs = trainyard::fs;

using trainyard::Run;

int status_of(const Result<>& result) {
  if (result) return 0;
  fmt::print(stderr, "trainyard: {}\n", result.error().message);
  return 1;
}

fs::path own_program() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

std::string default_data_dir() {
  if (const char* data = std::getenv("XDG_DATA_HOME")) return std::string(data) + "/trainyard";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.local/share/trainyard";
}

// Installed beside the program, or in the checkout that it was built in.
std::string default_environments_file() {
  fs::path here = own_program().parent_path();
  for (const fs::path& candidate :
       {here / "../share/trainyard/environments.toml", here / "../../config/environments.toml"}) {
    std::error_code error;
    if (fs::exists(candidate, error)) return fs::canonical(candidate, error).string();
  }
  return "/etc/trainyard/environments.toml";
}

void add_serve(CLI::App& app, Run& run) {
  auto options = std::make_shared<trainyard::ServeOptions>();
  options->data_dir = default_data_dir();
  options->environments_file = default_environments_file();
  auto* command = app.add_subcommand("serve", "Run the service until it gets SIGTERM");
  auto add = [&](const char* name, auto& target, const char* variable, const char* help) {
    return command->add_option(name, target, help)->envname(variable)->capture_default_str();
  };
  add("--listen", options->listen, "TRAINYARD_LISTEN", "ADDRESS:PORT; port 0 picks a free one");
  add("--data-dir", options->data_dir, "TRAINYARD_DATA_DIR", "Folder of all state");
  add("--ready-file", options->ready_file, "TRAINYARD_READY_FILE",
      "Written once it answers: endpoint, keys, region, account, pid as JSON");
  add("--region", options->region, "TRAINYARD_REGION", "AWS region that clients sign for");
  add("--account-id", options->account_id, "TRAINYARD_ACCOUNT_ID", "AWS account number in ARNs");
  add("--max-running-jobs", options->max_running_jobs, "TRAINYARD_MAX_RUNNING_JOBS",
      "Jobs at once; further ones wait in Starting");
  add("--isolation", options->isolation, "TRAINYARD_ISOLATION",
      "auto: a sandbox where the host allows one; sandbox: refuse otherwise; process: no walls")
      ->check(CLI::IsMember({"auto", "sandbox", "process"}));
  add("--environments", options->environments_file, "TRAINYARD_ENVIRONMENTS",
      "TOML file of the managed environments");
  add("--environments-dir", options->environments_dir, "TRAINYARD_ENVIRONMENTS_DIR",
      "Where environments are built; default <data dir>/environments");
  add("--uv", options->uv, "TRAINYARD_UV", "The uv program; looked up when not given");
  command->add_flag("--allow-plain-http", options->allow_plain_http,
                    "Listen without TLS on an address that others reach");
  command->set_config("--config", "", "TOML file with these settings under [serve]")
      ->envname("TRAINYARD_CONFIG");
  command->callback(
      [options, &run] { run = [options] { return status_of(trainyard::serve(*options)); }; });
}

// Started by the engine and by agents, not by people.
void add_internal(CLI::App& app, Run& run) {
  auto file = std::make_shared<std::string>();
  auto* agent = app.add_subcommand("agent", "Run one instance of a training job");
  agent->add_option("--assignment", *file)->required();
  agent->group("");
  agent->callback([file, &run] {
    run = [file] { return status_of(trainyard::agent::run_agent(*file, own_program())); };
  });
  auto* supervise = app.add_subcommand("supervise", "Run a job's processes");
  supervise->add_option("file", *file)->required();
  supervise->group("");
  supervise->callback(
      [file, &run] { run = [file] { return trainyard::sandbox::supervise(*file); }; });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Trainyard: a self-hosted training service with SageMaker's API");
  app.require_subcommand(1);
  Run run;
  add_serve(app, run);
  trainyard::add_client_commands(app, {default_data_dir(), default_environments_file()}, run);
  add_internal(app, run);
  CLI11_PARSE(app, argc, argv);
  try {
    return run();
  } catch (const std::exception& exception) {
    fmt::print(stderr, "trainyard: internal error: {}\n", exception.what());
    return 70;  // EX_SOFTWARE
  }
}
