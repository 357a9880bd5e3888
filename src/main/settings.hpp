// SPDX-License-Identifier: Apache-2.0
// The settings of `trainyard serve`, each declared once: flag, environment variable, member of the
// TOML file, default, help. Flag > environment > file > default.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "main/serve.hpp"

namespace trainyard {

struct Setting {
  std::string
      name;  // "max-running-jobs": --max-running-jobs, TRAINYARD_MAX_RUNNING_JOBS, the file's key
  std::string help;
  bool is_flag = false;
  std::function<Result<>(const std::string& text)> set;
  std::function<std::string()> get;

  std::string variable() const;
};

// The settings of these options. The options must outlive the list.
std::vector<Setting> settings_of(ServeOptions& options);

// Sets what the TOML file has. A key that is no setting is `invalid` and named: it may be misspelt.
Result<> apply_file(const fs::path& file, const std::vector<Setting>& settings);

// Sets what the environment has.
Result<> apply_environment(const std::vector<Setting>& settings);

// The effective settings as a TOML file, with the help as comments.
std::string to_toml(const std::vector<Setting>& settings);

}  // namespace trainyard
