// SPDX-License-Identifier: Apache-2.0
#include "environments/builder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "base/json.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "environments/existing.hpp"

namespace trainyard::environments {

namespace {

constexpr std::string_view kReady = "ready.json";

fs::path own_program() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

void tell(const OnProgress& on_progress, const std::string& line) {
  if (on_progress) on_progress(line);
}

// Held while one process builds; the kernel frees it when that process dies.
Result<Fd> lock(const fs::path& file, const OnProgress& on_progress, const std::stop_token& stop) {
  Fd fd = TRY(open_file(file, O_RDWR | O_CREAT, 0600));
  bool has_told = false;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return fail_errno(errno, "locking " + file.string());
    if (!std::exchange(has_told, true)) tell(on_progress, "Waiting for another job that builds it");
    // flock(2) has no timeout that a stop could end.
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock guard(mutex);
    never.wait_for(guard, stop, std::chrono::milliseconds(200), [] { return false; });
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
  }
  return fd;
}

// The lines of uv that say why, without the progress before.
std::string last_lines(std::string_view output) {
  size_t at = output.find("error:");
  size_t cross =
      output.find("\xc3\x97");  // uv begins its explanation of a failed resolution with it
  size_t from = std::min(at, cross);
  std::string_view text = from == std::string_view::npos ? output : output.substr(from);
  return cut_middle(trim(text), 900);
}

}  // namespace

Builder::Builder(fs::path environments_dir, fs::path uv)
    : environments_dir_(std::move(environments_dir)), uv_(std::move(uv)) {}

Result<fs::path> Builder::uv() const {
  if (!uv_.empty()) return uv_;
  if (auto found = find_program("uv")) return *found;
  fs::path here = own_program().parent_path();
  for (const fs::path& candidate : {here / "uv", here / "../tools/bin/uv"}) {
    if (auto found = find_program(candidate.string())) return fs::weakly_canonical(*found);
  }
  return fail(
      Code::not_found,
      "uv is not installed; it builds the Python environments: pip install uv, or --uv PATH");
}

Environment Builder::describe(const fs::path& folder, const std::string& name,
                              const Interpreter& interpreter) const {
  return {folder,
          folder / "bin/python",
          interpreter.prefix,
          {folder / "lib" / ("python" + interpreter.version) / "site-packages"},
          interpreter.version,
          name};
}

Result<Environment> Builder::find(const Recipe& recipe) const {
  if (recipe.existing) return inspect_existing(*recipe.existing, recipe.name);
  fs::path folder = environments_dir_ / recipe.key();
  if (::access((folder / kReady).c_str(), R_OK) != 0) {
    return fail(Code::not_found, "environment {} is not built yet", recipe.name);
  }
  return describe(folder, recipe.name, recipe.interpreter);
}

Result<Environment> Builder::ensure(const Recipe& recipe, const OnProgress& on_progress,
                                    std::stop_token stop) const {
  auto there = find(recipe);
  if (there || recipe.existing) return there;
  TRY(make_directories(environments_dir_));
  Fd held = TRY(lock(environments_dir_ / (recipe.key() + ".lock"), on_progress, stop));
  if (auto found = find(recipe)) return found;
  return build(recipe, on_progress, stop);
}

Result<Environment> Builder::build(const Recipe& recipe, const OnProgress& on_progress,
                                   std::stop_token stop) const {
  fs::path folder = environments_dir_ / recipe.key();
  Environment environment = describe(folder, recipe.name, recipe.interpreter);
  TRY(remove_tree(folder));  // half-built by somebody who was killed
  tell(on_progress, fmt::format("Building environment {} ({} packages and what they need)",
                                recipe.name, recipe.packages.size()));
  TRY(run_uv(
      {"venv", "--no-project", "--python", recipe.interpreter.program.string(), folder.string()},
      on_progress, stop));
  std::vector<std::string> install{"pip", "install", "--compile-bytecode", "--python",
                                   environment.python.string()};
  install.insert(install.end(), recipe.packages.begin(), recipe.packages.end());
  TRY(run_uv(std::move(install), on_progress, stop));
  json::object ready{{"name", recipe.name},
                     {"python", recipe.interpreter.version},
                     {"prefix", recipe.interpreter.prefix.string()}};
  TRY(write_file_atomically(folder / kReady, json::serialize(ready)));
  tell(on_progress, fmt::format("Environment {} is ready", recipe.name));
  return environment;
}

Result<> Builder::run_uv(std::vector<std::string> arguments, const OnProgress& on_progress,
                         std::stop_token stop) const {
  Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), TRY(uv()).string());
  command.variables = {"UV_PYTHON_DOWNLOADS=never", "UV_NO_CONFIG=1", "NO_COLOR=1", "VIRTUAL_ENV="};
  command.is_attached = !on_progress;
  if (!command.is_attached) command.variables.push_back("UV_NO_PROGRESS=1");
  if (std::getenv("UV_CACHE_DIR") == nullptr) {
    command.variables.push_back("UV_CACHE_DIR=" + (environments_dir_ / "cache").string());
  }
  command.on_line = [&](std::string_view line) {
    line = trim(line);
    bool is_news = line.starts_with("Resolved") || line.starts_with("Downloading") ||
                   line.starts_with("Downloaded") || line.starts_with("Prepared") ||
                   line.starts_with("Installed") || line.starts_with("Building") ||
                   line.starts_with("Built") || line.starts_with("Bytecode");
    if (is_news) on_progress(std::string(line));
  };
  Ended ended = TRY(run(command, stop));
  if (ended.exit_code == 0) return {};
  return fail(Code::invalid, "{}",
              command.is_attached ? "uv failed, as it says above" : last_lines(ended.output));
}

Result<fs::path> Builder::make_layer(const Environment& environment, const fs::path& folder) const {
  std::string version = "python" + environment.python_version;
  fs::path site_packages = folder / "lib" / version / "site-packages";
  TRY(make_directories(folder / "bin"));
  TRY(make_directories(site_packages));
  std::error_code error;
  fs::path interpreter = fs::canonical(environment.python, error);
  if (error) return fail_errno(error.value(), "resolving " + environment.python.string());
  for (const std::string& name : {std::string("python"), std::string("python3"), version}) {
    fs::remove(folder / "bin" / name, error);
    fs::create_symlink(interpreter, folder / "bin" / name, error);
    if (error) return fail_errno(error.value(), "linking " + name);
  }
  TRY(write_file_atomically(folder / "pyvenv.cfg",
                            fmt::format("home = {}\ninclude-system-site-packages = false\n",
                                        interpreter.parent_path().string())));
  // addsitedir, and not a plain path, so that the .pth files of the shared environment count, too.
  std::string lines;
  for (const fs::path& site : environment.site_folders) {
    lines += fmt::format("import site; site.addsitedir({})\n",
                         json::serialize(json::value(site.string())));
  }
  TRY(write_file_atomically(site_packages / "_trainyard_base.pth", lines));
  return folder / "bin/python";
}

Result<> Builder::install(const Environment& environment, const fs::path& layer,
                          const fs::path& requirements, const OnProgress& on_progress,
                          std::stop_token stop) const {
  // uv does not look behind a .pth file. What the shared environment holds is given to the resolver
  // as constraints, installed with the rest into the layer from the cache by links, which costs
  // inodes and no bytes; first those that are satisfied are asked for, to install nothing
  // needlessly.
  auto check = run_uv(
      {"pip", "install", "--dry-run", "--offline", "--no-index", "--python",
       environment.python.string(), "-r", requirements.string()},
      [](const std::string&) {}, stop);
  if (check) {
    tell(on_progress, "requirements.txt: all of it is there already");
    return {};
  }
  fs::path constraints = layer / "constraints.txt";
  Command freeze;
  freeze.arguments = {TRY(uv()).string(), "pip", "freeze", "--python", environment.python.string()};
  Ended frozen = TRY(run(freeze, stop));
  auto plain = [&](bool is_constrained) {
    std::vector<std::string> arguments{
        "pip",           "install", "--python", (layer / "bin/python").string(),
        "--only-binary", ":all:",   "-r",       requirements.string()};
    if (is_constrained) {
      arguments.insert(arguments.end(), {"--constraint", constraints.string()});
    }
    return run_uv(std::move(arguments), on_progress, stop);
  };
  std::string pins;
  for (std::string_view line : split(frozen.output, '\n')) {
    if (line.find("==") != std::string_view::npos) pins += std::string(line) + "\n";
  }
  TRY(write_file_atomically(constraints, pins));
  auto installed = plain(true);
  // The file may ask for another version of something that the environment pins.
  if (!installed && installed.error().code == Code::invalid) installed = plain(false);
  return installed;
}

Result<std::vector<Environment>> Builder::list() const {
  std::vector<Environment> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(environments_dir_, error)) {
    auto text = read_file(entry.path() / kReady, 64 << 10);
    auto document = text ? json::parse_object(*text) : Result<json::object>(Failure(text.error()));
    if (!document) continue;
    Interpreter interpreter{json::find_string(*document, "python").value_or(""), "",
                            json::find_string(*document, "prefix").value_or("")};
    all.push_back(
        describe(entry.path(), json::find_string(*document, "name").value_or(""), interpreter));
  }
  std::sort(all.begin(), all.end(),
            [](const Environment& a, const Environment& b) { return a.folder < b.folder; });
  return all;
}

Result<> Builder::remove(const std::string& name) const {
  bool is_found = false;
  auto all = TRY(list());
  for (const Environment& environment : all) {
    if (environment.name != name && environment.folder.filename() != name) continue;
    is_found = true;
    // Without its mark it counts as half-built, whatever happens to the rest.
    ::unlink((environment.folder / kReady).c_str());
    TRY(remove_tree(environment.folder));
  }
  if (!is_found) return fail(Code::not_found, "no environment '{}' is built", name);
  return {};
}

}  // namespace trainyard::environments
