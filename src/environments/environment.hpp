// SPDX-License-Identifier: Apache-2.0
// Managed environments: from an image URI to a ready Python with a framework. The catalogue
// (config/environments.toml) says which there are; the builder (builder.hpp) makes one with uv on
// first use, or takes one that is there: a virtual environment of a team's own, or the Python of
// the distribution.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::environments {

// <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<version>-<processor>-py<NN>… (contract.md
// I.4), or the short form <framework>:<version> of the command line.
struct ImageUri {
  std::string repository;  // "tensorflow-training", "tensorflow"
  std::string version;     // "2.19", "2.19.0"
  std::string processor;   // "cpu", "gpu"; empty: not said
  std::string python;      // "3.12"; empty: not said, or only "py3"

  static Result<ImageUri> parse(std::string_view text);
};

// A Python of this host.
struct Interpreter {
  std::string version;  // "3.11"
  fs::path program;     // links resolved
  fs::path prefix;      // its installation: "/usr", "/root/.pyenv/versions/3.11.7"
};

// /usr/bin, PATH and pyenv's versions, each program once, the system's first.
std::vector<Interpreter> find_interpreters();

// What a framework's images do around the script, beside what all of them do. Data: the agent has
// no other knowledge of frameworks.
struct Launcher {
  std::string module;                            // SM_FRAMEWORK_MODULE
  std::map<std::string, std::string> variables;  // set for every script, unless the job sets them
  // tf_config: TF_CONFIG of distributed jobs. tuned_model_dir: a model_dir of its own for each job
  // of a tuning. saved_model_warning: a word when no model was saved. master_address: MASTER_ADDR
  // and MASTER_PORT. torchrun: sagemaker_torch_distributed_enabled.
  std::set<std::string> features;
  std::vector<std::string> error_classes;  // exceptions that a FailureReason is named after

  bool has(const std::string& feature) const { return features.contains(feature); }
};

// A Python that somebody else looks after, with its packages.
struct Existing {
  fs::path program;                            // "/srv/envs/x/bin/python", "/usr/bin/python3"
  std::map<std::string, std::string> modules;  // must be importable: "torch", from "python3-torch"

  bool is_distribution() const { return program == "/usr/bin/python3"; }
};

// One environment as it is to be: everything that decides its content.
struct Recipe {
  std::string name;                    // "tensorflow-2.19.1-py311", for people, logs and commands
  std::string framework;               // "tensorflow"
  std::string version;                 // "2.19.1"
  std::string asked_python;            // "3.12"; empty: any
  Interpreter interpreter;             // of an existing one: its program alone
  std::vector<std::string> packages;   // pip requirements
  std::optional<Existing> existing{};  // nothing is built; `packages` is empty
  Launcher launcher;

  std::string key() const;  // hash of interpreter and packages: the folder's name
};

// What environments.toml lists. Immutable.
class Catalogue {
 public:
  static Result<Catalogue> load(const fs::path& toml_file, std::vector<Interpreter> interpreters);

  // The recipe for an image, with the nearest Python that this host has. An unknown image is
  // `not_found`; the text lists what is known, in one line.
  Result<Recipe> resolve(const ImageUri& image) const;

  // All of them, as this host would build them; those without a Python here are left out.
  std::vector<Recipe> recipes() const;

  // An [[environment]] as it is written.
  struct Entry {
    std::string framework;
    std::string version;
    std::vector<std::string> aliases;
    std::vector<std::string> repositories;
    std::vector<std::string> pythons;
    std::vector<std::string> packages;
    std::optional<Existing> existing;
    Launcher launcher;
  };

 private:
  Result<Recipe> make_recipe(const Entry& entry, const std::string& asked_python) const;

  std::vector<Entry> entries_;
  std::vector<Interpreter> interpreters_;
};

}  // namespace trainyard::environments
