// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "environments/environment.hpp"

namespace trainyard::environments {

namespace {

// "python3.11" -> "3.11"
std::optional<std::string> version_of_name(const std::string& name) {
  constexpr std::string_view kPython = "python";
  if (!name.starts_with(kPython)) return std::nullopt;
  auto parts = split(std::string_view(name).substr(kPython.size()), '.');
  bool is_version = parts.size() == 2 && parts[0] == "3" && parse_unsigned(parts[1]);
  if (!is_version) return std::nullopt;
  return std::string(name.substr(kPython.size()));
}

// Programs named python3.N; "python3" links to one of them, and a version manager's shims are
// scripts with another target.
void add_programs(const fs::path& folder, std::set<fs::path>& seen,
                  std::vector<Interpreter>& found) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!version_of_name(entry.path().filename())) continue;
    fs::path program = fs::canonical(entry.path(), error);
    if (error) continue;
    auto version = version_of_name(program.filename());
    bool is_program = version && find_program(program.string());
    if (!is_program || !seen.insert(program).second) continue;
    found.push_back({*version, program, program.parent_path().parent_path()});
  }
}

}  // namespace

std::vector<Interpreter> find_interpreters() {
  std::set<fs::path> seen;
  std::vector<Interpreter> found;
  add_programs("/usr/bin", seen, found);
  add_programs("/usr/local/bin", seen, found);
  const char* home = std::getenv("HOME");
  const char* pyenv = std::getenv("PYENV_ROOT");
  fs::path versions =
      fs::path(pyenv != nullptr ? pyenv : std::string(home ? home : "") + "/.pyenv");
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(versions / "versions", error)) {
    folders.push_back(entry.path() / "bin");
  }
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) add_programs(folder, seen, found);
  return found;
}

}  // namespace trainyard::environments
