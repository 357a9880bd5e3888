// SPDX-License-Identifier: Apache-2.0
// Managed environments: from an image URI to a ready Python with a framework. The catalogue
// (environments.toml) says which there are; the builder makes one with uv on first use.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::environments {

// <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<version>-<processor>-py<NN>… (contract.md
// I.4), or the short form <framework>:<version> of the command line.
struct ImageUri {
  std::string registry;    // empty in the short form
  std::string repository;  // "tensorflow-training", "tensorflow"
  std::string version;     // "2.19", "2.19.0"
  std::string processor;   // "cpu", "gpu"; empty: not said
  std::string python;      // "3.12"; empty: not said

  static Result<ImageUri> parse(std::string_view text);
};

// One environment as it is to be: everything that decides its content.
struct Recipe {
  std::string name;       // "tensorflow-2.19-cpu-py311", for people, logs and the folder
  std::string framework;  // "tensorflow"
  std::string version;    // "2.19.0"
  std::string asked_python;          // "3.12"; empty: any
  std::string python_version;        // "3.11", found on the host
  fs::path interpreter;              // its program, links resolved
  std::vector<std::string> packages;  // pip requirements
  std::string module;                // SM_FRAMEWORK_MODULE
  std::map<std::string, std::string> variables;  // set for every script of this framework

  std::string key() const;  // hash of interpreter, packages: the folder's name
};

// What environments.toml lists. Immutable.
class Catalogue {
 public:
  static Result<Catalogue> load(const fs::path& toml_file);

  // The recipe for an image, with the nearest Python that this host has. An unknown image is
  // `not_found`; the text lists what is known, in one line.
  Result<Recipe> resolve(const ImageUri& image) const;

  // All of them, newest version first, as this host would build them.
  std::vector<Recipe> recipes() const;

 private:
  struct Entry;
  std::vector<std::shared_ptr<const Entry>> entries_;
};

// A built environment: a virtual environment with fixed paths. Read-only for jobs.
struct Environment {
  fs::path folder;      // <environments dir>/<key>
  fs::path python;      // folder/bin/python
  fs::path interpreter_prefix;  // of the base interpreter; a sandbox must show it too
  fs::path site_packages;
  Recipe recipe;
};

// A line for people while something is made: "tensorflow-2.19: 12 of 58 packages, 210 MiB".
using OnProgress = std::function<void(const std::string& line)>;

class Builder {
 public:
  // `uv` empty: looked up on PATH, beside this program, and in build/tools/bin of the checkout.
  Builder(fs::path environments_dir, fs::path uv);

  // The environment when it is ready on disk; not_found otherwise. Takes microseconds.
  Result<Environment> find(const Recipe& recipe) const;

  // Makes it unless it is there. Safe among concurrent processes (one builds, the others wait) and
  // against kill at any moment (a half-built one is built again). A failure carries uv's own words.
  Result<Environment> ensure(const Recipe& recipe, const OnProgress& on_progress,
                             std::stop_token stop);

  // A per-job virtual environment at `folder` over the shared one: a few small files, no copying. pip
  // in the job writes here. With `requirements` those are installed into it from uv's cache; their
  // failure is `invalid` with uv's words, ready for InstallRequirementsError.
  // Returns the path of its Python.
  Result<fs::path> make_layer(const Environment& environment, const fs::path& folder,
                              const fs::path& requirements, const OnProgress& on_progress,
                              std::stop_token stop);

  // Ready ones by name; and removal, refused (`conflict`) while a job uses it.
  Result<std::vector<Environment>> list() const;
  Result<> remove(const std::string& name);

 private:
  fs::path environments_dir_;
  fs::path uv_;
};

}  // namespace trainyard::environments
