// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace trainyard {

// What the chosen command does; returns the exit status.
using Run = std::function<int()>;

struct Defaults {
  std::string data_dir;
  std::string environments_file;
  std::vector<std::string> program;  // of exec: all that followed "--"
};

// env, exec, sdk-config, train, jobs, describe, logs, stop, environments.
void add_client_commands(CLI::App& app, const Defaults& defaults, Run& run);

}  // namespace trainyard
