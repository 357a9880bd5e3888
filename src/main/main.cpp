// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <map>

#include "agent/agent.hpp"
#include "agent/feeds.hpp"
#include "docker/forwarder.hpp"
#include "fuse/fuse_front.hpp"
#include "hydrate/daemon.hpp"
#include "launch/arrangement.hpp"
#include "main/client_commands.hpp"
#include "main/remotes.hpp"
#include "main/serve.hpp"
#include "main/settings.hpp"
#include "network/network.hpp"
#include "pipe/pipe.hpp"
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
std::string default_file(const std::string& name) {
  fs::path here = own_program().parent_path();
  for (const fs::path& folder : {here / "../share/trainyard", here / "../../config"}) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return fs::canonical(folder / name, error).string();
  }
  return "/etc/trainyard/" + name;
}

// What was given on the command line, by setting.
using Given = std::map<std::string, std::string>;

Result<> resolve(const Given& given, const std::vector<trainyard::Setting>& settings,
                 std::string file, trainyard::ServeOptions& options) {
  const char* variable = std::getenv("TRAINYARD_CONFIG");
  if (file.empty() && variable != nullptr) file = variable;
  if (!file.empty()) {
    TRY(trainyard::apply_file(file, settings));
    options.remotes = TRY(trainyard::read_remotes(file));
    options.engine_rules = TRY(trainyard::read_engine_rules(file));
  }
  TRY(trainyard::apply_environment(settings));
  for (const trainyard::Setting& setting : settings) {
    auto found = given.find(setting.name);
    if (found != given.end()) TRY(setting.set(found->second));
  }
  return {};
}

int run_serve(trainyard::ServeOptions options, const Given& given, const std::string& file,
              bool is_printing) {
  auto settings = trainyard::settings_of(options);
  auto resolved = resolve(given, settings, file, options);
  if (!resolved) return status_of(resolved);
  if (!is_printing) return status_of(trainyard::serve(options));
  fmt::print("{}{}\n{}", trainyard::to_toml(settings), trainyard::remotes_example(),
             trainyard::engine_rules_example());
  return 0;
}

void add_serve(CLI::App& app, Run& run) {
  struct Choice {
    trainyard::ServeOptions defaults;
    Given given;
    std::string file;
    bool is_printing = false;
  };
  auto choice = std::make_shared<Choice>();
  choice->defaults.data_dir = default_data_dir();
  choice->defaults.environments_file = default_file("environments.toml");
  choice->defaults.instance_types_file = default_file("instance-types.toml");
  if (!fs::exists(choice->defaults.instance_types_file)) {
    choice->defaults.instance_types_file.clear();  // all types are of one size then
  }
  auto* command = app.add_subcommand("serve", "Run the service until it gets SIGTERM");
  for (const trainyard::Setting& setting : trainyard::settings_of(choice->defaults)) {
    std::string name = setting.name;
    std::string help = setting.help + " (" + setting.variable() + ")";
    auto keep = [choice, name](const std::string& text) { choice->given[name] = text; };
    if (setting.is_flag) {
      command->add_flag_callback(
          "--" + name, [keep] { keep("true"); }, help);
    } else {
      command->add_option_function<std::string>("--" + name, keep, help)
          ->default_str(setting.get());
    }
  }
  command->add_option("--config", choice->file, "TOML file with these settings (TRAINYARD_CONFIG)");
  command->add_flag("--print-config", choice->is_printing,
                    "Print the settings in effect as such a file, and end");
  command->footer("A flag wins over the environment variable, that over the file.");
  command->callback([choice, &run] {
    run = [choice] {
      return run_serve(choice->defaults, choice->given, choice->file, choice->is_printing);
    };
  });
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
  auto* feed = app.add_subcommand("feed", "Feed the pipes of a job");
  feed->add_option("file", *file)->required();
  feed->group("");
  feed->callback(
      [file, &run] { run = [file] { return status_of(trainyard::pipe::feed(*file)); }; });
  auto* stop_feeds = app.add_subcommand("stop-feeds", "End what feeds an instance's channels");
  stop_feeds->add_option("folder", *file)->required();
  stop_feeds->group("");
  stop_feeds->callback([file, &run] {
    run = [file] {
      trainyard::agent::stop_feeds(*file);
      return 0;
    };
  });
  auto* forward = app.add_subcommand("forward", "Let a job's containers reach the service");
  forward->add_option("file", *file)->required();
  forward->group("");
  forward->callback(
      [file, &run] { run = [file] { return status_of(trainyard::docker::forward(*file)); }; });
  auto* supervise = app.add_subcommand("supervise", "Run a job's processes");
  supervise->add_option("file", *file)->required();
  supervise->group("");
  supervise->callback(
      [file, &run] { run = [file] { return trainyard::sandbox::supervise(*file); }; });
  auto* network = app.add_subcommand("network", "Keep a job's network");
  network->add_option("folder", *file)->required();
  network->group("");
  network->callback(
      [file, &run] { run = [file] { return status_of(trainyard::network::hold(*file)); }; });
  auto* launch = app.add_subcommand("launch", "Run a script and what belongs to it");
  launch->add_option("file", *file)->required();
  launch->group("");
  launch->callback(
      [file, &run] { run = [file] { return trainyard::launch::launch(*file, own_program()); }; });
  auto* hydrate = app.add_subcommand("hydrate", "Show files whose bytes come on first read");
  hydrate->add_option("file", *file)->required();
  hydrate->group("");
  hydrate->callback([file, &run] {
    run = [file] {
      return trainyard::hydrate::run_daemon(*file, trainyard::fuse::make_fuse_front);
    };
  });
}

// Takes what follows "--" off the command line of exec: it is another program's.
std::vector<std::string> take_program(int& argc, char** argv) {
  auto* end = argv + argc;
  auto* dashes = std::find(argv, end, std::string_view("--"));
  if (argc < 2 || argv[1] != std::string_view("exec") || dashes == end) return {};
  argc = static_cast<int>(dashes - argv);
  return {dashes + 1, end};
}

}  // namespace

int main(int argc, char** argv) {
  // Its arguments are another program's.
  if (argc >= 2 && argv[1] == std::string_view("mpi-shell")) {
    return trainyard::launch::mpi_shell({argv + 2, argv + argc});
  }
  CLI::App app("Trainyard: a self-hosted training service with SageMaker's API");
  app.require_subcommand(1);
  Run run;
  auto program = take_program(argc, argv);
  add_serve(app, run);
  trainyard::add_client_commands(
      app, {default_data_dir(), default_file("environments.toml"), std::move(program)}, run);
  add_internal(app, run);
  CLI11_PARSE(app, argc, argv);
  try {
    return run();
  } catch (const std::exception& exception) {
    fmt::print(stderr, "trainyard: internal error: {}\n", exception.what());
    return 70;  // EX_SOFTWARE
  }
}
