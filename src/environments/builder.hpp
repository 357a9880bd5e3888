// SPDX-License-Identifier: Apache-2.0
// Builds environments with uv. Each is a folder <environments dir>/<key>, complete once it holds
// ready.json; uv's cache lies beside, on the same file system, so that files are linked, not
// copied.
#pragma once

#include <functional>
#include <stop_token>

#include "environments/environment.hpp"

namespace trainyard::environments {

// An environment that is there, with fixed paths. Read-only for jobs.
struct Environment {
  fs::path folder;                     // <environments dir>/<key>; of an existing one: its prefix
  fs::path python;                     // folder/bin/python
  fs::path interpreter_prefix;         // of the base interpreter; a sandbox must show it too
  std::vector<fs::path> site_folders;  // where its packages are, first ones first
  std::string python_version;          // "3.11"
  std::string name;
};

// A line for people while something is made: "Downloading tensorflow-cpu (230 MiB)". Where it is
// empty uv draws its own progress on our standard error, which should then be a terminal.
using OnProgress = std::function<void(const std::string& line)>;

class Builder {
 public:
  // `uv` empty: looked up on PATH, beside this program, and in build/tools/bin of the checkout.
  Builder(fs::path environments_dir, fs::path uv);

  // The environment when it is ready on disk; not_found otherwise. Takes microseconds; of an
  // existing one as long as its Python needs to start, and not_found says what it lacks.
  Result<Environment> find(const Recipe& recipe) const;

  // Makes it unless it is there. Safe among concurrent processes (one builds, the others wait) and
  // against kill at any moment (a half-built one is built again). A failure carries uv's own words.
  Result<Environment> ensure(const Recipe& recipe, const OnProgress& on_progress,
                             std::stop_token stop) const;

  // A per-job virtual environment at `folder` over the shared one: a few small files, no copying.
  // pip in the job writes here. Returns the path of its Python.
  Result<fs::path> make_layer(const Environment& environment, const fs::path& folder) const;

  // Installs the requirements file into the layer from uv's cache, wheels only, so that no code of
  // a package runs here. What the shared environment has already counts as installed. `invalid`
  // with uv's words where that is not possible.
  Result<> install(const Environment& environment, const fs::path& layer,
                   const fs::path& requirements, const OnProgress& on_progress,
                   std::stop_token stop) const;

  Result<std::vector<Environment>> list() const;
  // Names or keys; not_found. Jobs that run with it fail: callers ask first.
  Result<> remove(const std::string& name) const;

  Result<fs::path> uv() const;

 private:
  Result<Environment> build(const Recipe& recipe, const OnProgress& on_progress,
                            std::stop_token stop) const;
  Result<> run_uv(std::vector<std::string> arguments, const OnProgress& on_progress,
                  std::stop_token stop) const;
  Environment describe(const fs::path& folder, const std::string& name,
                       const Interpreter& interpreter) const;

  fs::path environments_dir_;
  fs::path uv_;
};

}  // namespace trainyard::environments
