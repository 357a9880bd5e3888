// SPDX-License-Identifier: Apache-2.0
// Which engines this service has, and which of them runs a job.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/local_engine.hpp"
#include "engine/routed_engine.hpp"

namespace trainyard {

struct ServeOptions;

// [[engine.rules]] of the configuration file: the first that fits decides. Patterns as in a shell;
// an empty one fits all.
struct EngineRule {
  std::string instance_type;  // "ml.p3.*"
  std::string image;          // "*/my-team/*"
  std::string engine;         // "local", "docker"
};

// In the order of the file. A key that means nothing is `invalid` and named.
Result<std::vector<EngineRule>> read_engine_rules(const fs::path& file);
std::string engine_rules_example();

// The name of the engine: by the job's tag trainyard:engine, or else by the rules, or else "local"
// for images of managed environments and where there is no Docker, and "docker" for others.
std::string choose_engine(const std::vector<EngineRule>& rules,
                          const protocol::Assignment& assignment, bool is_managed, bool has_docker);

// Those of the options; `local` are the local one's. `invalid`: the options name a Docker daemon
// that cannot be used.
Result<std::unique_ptr<engine::RoutedEngine>> make_engines(const ServeOptions& options,
                                                           const fs::path& data_dir,
                                                           engine::LocalEngineOptions local);

}  // namespace trainyard
