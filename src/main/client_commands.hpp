// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/service.hpp"

namespace trainyard {

// What the chosen command does; returns the exit status.
using Run = std::function<int()>;

struct Defaults {
  std::string data_dir;
  std::string environments_file;
  std::vector<std::string> program;  // of exec: all that followed "--"
};

// env, exec, sdk-config, train, jobs, describe, logs, stop, data, environments.
void add_client_commands(CLI::App& app, const Defaults& defaults, Run& run);

// data inspect, data push, data verify.
void add_data_commands(CLI::App& app, const Defaults& defaults, Run& run);

// A command with the options that say where the service is; `where` must outlive it.
CLI::App* add_service_command(CLI::App& app, const char* name, const char* help, cli::Where& where);

// Calls `use` with the service that is found; prints an error. Returns the exit status.
int with_service(const cli::Where& where, const std::function<Result<int>(cli::Service&)>& use);

}  // namespace trainyard
