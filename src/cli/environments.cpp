// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "cli/commands.hpp"
#include "environments/builder.hpp"

namespace trainyard::cli {

namespace {

Result<environments::Catalogue> load(const EnvironmentOptions& options) {
  return environments::Catalogue::load(options.file, environments::find_interpreters());
}

const char* state_of(const json::object& entry) {
  if (json::find_bool(entry, "is_ready").value_or(false)) return "ready";
  return json::find_bool(entry, "is_existing").value_or(false) ? "missing" : "not built";
}

}  // namespace

Result<int> list_environments(const EnvironmentOptions& options) {
  auto catalogue = TRY(load(options));
  environments::Builder builder(options.folder, options.uv);
  json::array list;
  for (const environments::Recipe& recipe : catalogue.recipes()) {
    auto found = builder.find(recipe);
    json::object entry{{"name", recipe.name},
                       {"image", fmt::format("{}:{}", recipe.framework, recipe.version)},
                       {"python", recipe.interpreter.program.string()},
                       {"is_existing", recipe.existing.has_value()},
                       {"is_ready", found.has_value()}};
    if (!found && recipe.existing) entry["problem"] = found.error().message;
    list.push_back(std::move(entry));
  }
  if (options.as_json) {
    fmt::print("{}\n", json::serialize(list));
    return 0;
  }
  fmt::print("{:<32} {:<20} {:<10} {}\n", "NAME", "IMAGE", "STATE", "PYTHON");
  for (const json::value& value : list) {
    const json::object& entry = value.get_object();
    fmt::print("{:<32} {:<20} {:<10} {}\n", json::find_string(entry, "name").value_or(""),
               json::find_string(entry, "image").value_or(""), state_of(entry),
               json::find_string(entry, "python").value_or(""));
  }
  for (const json::value& value : list) {
    auto problem = json::find_string(value.get_object(), "problem");
    if (problem) fmt::print("{}\n", *problem);
  }
  fmt::print("\nprepare one with: trainyard environments prepare <image>\n");
  return 0;
}

Result<int> prepare_environment(const EnvironmentOptions& options, const std::string& image) {
  auto catalogue = TRY(load(options));
  auto recipe = TRY(catalogue.resolve(TRY(environments::ImageUri::parse(image))));
  environments::Builder builder(options.folder, options.uv);
  environments::OnProgress on_progress;
  if (::isatty(STDERR_FILENO) == 0) {
    on_progress = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  }
  auto environment = TRY(builder.ensure(recipe, on_progress, {}));
  if (options.as_json) {
    fmt::print("{}\n", json::serialize(json::object{{"name", recipe.name},
                                                    {"folder", environment.folder.string()},
                                                    {"python", environment.python.string()}}));
  } else {
    fmt::print("{} is ready: {}\n", recipe.name, environment.python.string());
  }
  return 0;
}

Result<int> remove_environment(const EnvironmentOptions& options, const std::string& name) {
  environments::Builder builder(options.folder, options.uv);
  TRY(builder.remove(name));
  fmt::print("removed {}\n", name);
  return 0;
}

}  // namespace trainyard::cli
