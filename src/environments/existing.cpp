// SPDX-License-Identifier: Apache-2.0
#include "environments/existing.hpp"

#include "base/json.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"

namespace trainyard::environments {

namespace {

// Its last line: the version, the prefixes, the folders of packages, the modules that are missing.
constexpr const char* kQuestion = R"(
import importlib.util, json, os, site, sys
def is_missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except Exception:
        return True
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "prefix": sys.prefix,
    "base": sys.base_prefix,
    "sites": [path for path in site.getsitepackages() if os.path.isdir(path)],
    "missing": [name for name in sys.argv[1:] if is_missing(name)]}))
)";

std::string missing_text(const Existing& existing, const std::vector<std::string>& missing) {
  std::vector<std::string> packages;
  for (const std::string& module : missing) {
    auto found = existing.modules.find(module);
    bool is_named = found != existing.modules.end() && !found->second.empty();
    packages.push_back(is_named ? found->second : module);
  }
  return fmt::format("{} has no {}: {} {}", existing.program.string(), fmt::join(missing, ", "),
                     existing.is_distribution() ? "apt-get install"
                                                : existing.program.string() + " -m pip install",
                     fmt::join(packages, " "));
}

}  // namespace

Result<Environment> inspect_existing(const Existing& existing, const std::string& name) {
  std::error_code error;
  if (!fs::exists(existing.program, error)) {
    return fail(Code::not_found, "there is no {}: {}", existing.program.string(),
                existing.is_distribution() ? "apt-get install python3"
                                           : "path names no virtual environment");
  }
  Command command;
  command.arguments = {existing.program.string(), "-I", "-c", kQuestion};
  for (const auto& [module, package] : existing.modules) command.arguments.push_back(module);
  command.timeout = std::chrono::seconds(60);
  Ended ended = TRY(run(command));
  std::string_view output = trim(ended.output);
  auto answer = json::parse_object(output.substr(output.rfind('\n') + 1));
  if (ended.exit_code != 0 || !answer) {
    return fail(Code::not_found, "{} does not run: {}", existing.program.string(),
                cut_middle(output, 900));
  }
  auto missing = json::find_texts(*answer, "missing").value_or(std::vector<std::string>());
  if (!missing.empty()) return fail(Code::not_found, "{}", missing_text(existing, missing));
  Environment found;
  found.folder = TRY(json::get_string(*answer, "prefix"));
  found.python = existing.program;
  found.interpreter_prefix = TRY(json::get_string(*answer, "base"));
  found.python_version = TRY(json::get_string(*answer, "version"));
  auto sites = json::find_texts(*answer, "sites").value_or(std::vector<std::string>());
  for (const std::string& site : sites) found.site_folders.emplace_back(site);
  found.name = name;
  return found;
}

}  // namespace trainyard::environments
