// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include <toml++/toml.h>
#include <algorithm>
#include <set>
#include <sstream>

#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "environments/environment.hpp"

namespace trainyard::environments {

namespace {

std::vector<std::string> texts(const toml::table& table, std::string_view key) {
  std::vector<std::string> result;
  if (const toml::array* list = table[key].as_array()) {
    for (const auto& value : *list) {
      if (auto text = value.value<std::string>()) result.push_back(*text);
    }
  }
  return result;
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// "3.11" -> 311, so that distances count minor versions.
int number_of(const std::string& version) {
  auto parts = split(version, '.');
  auto major = parse_unsigned(parts[0]);
  auto minor = parts.size() > 1 ? parse_unsigned(parts[1]) : std::nullopt;
  return static_cast<int>(major.value_or(0) * 100 + minor.value_or(0));
}

Result<std::string> python_of_tag(std::string_view digits) {
  if (digits == "3") return std::string();  // sagemaker-scikit-learn:1.2-1-cpu-py3
  if (digits.size() < 2 || !parse_unsigned(digits)) {
    return fail(Code::invalid, "'py{}' names no Python", digits);
  }
  return fmt::format("{}.{}", digits.substr(0, 1), digits.substr(1));
}

void add_variables(const toml::table& table, std::map<std::string, std::string>& variables) {
  if (const toml::table* found = table["variables"].as_table()) {
    for (const auto& [name, value] : *found) {
      variables[std::string(name.str())] = value.value_or("");
    }
  }
}

// The [launcher.<name>] that the environment names, with the environment's own module and variables
// over it.
Result<Launcher> read_launcher(const toml::table& root, const toml::table& environment) {
  static const std::set<std::string> kFeatures = {
      "tf_config", "tuned_model_dir", "saved_model_warning", "master_address", "torchrun"};
  Launcher launcher;
  if (auto name = environment["launcher"].value<std::string>()) {
    const toml::table* table = root["launcher"][*name].as_table();
    if (table == nullptr) return fail(Code::invalid, "there is no [launcher.{}]", *name);
    launcher.module = (*table)["module"].value_or("");
    add_variables(*table, launcher.variables);
    launcher.error_classes = texts(*table, "error_classes");
    auto features = texts(*table, "features");
    for (std::string& feature : features) {
      if (!kFeatures.contains(feature)) {
        return fail(Code::invalid, "[launcher.{}]: unknown feature '{}'; known: {}", *name, feature,
                    fmt::join(kFeatures, ", "));
      }
      launcher.features.insert(std::move(feature));
    }
  }
  launcher.module = environment["module"].value_or(launcher.module);
  add_variables(environment, launcher.variables);
  return launcher;
}

// {torch = "python3-torch"}, or a list of modules.
std::map<std::string, std::string> read_modules(const toml::table& table) {
  std::map<std::string, std::string> modules;
  for (const std::string& name : texts(table, "modules")) modules[name] = "";
  if (const toml::table* named = table["modules"].as_table()) {
    for (const auto& [name, package] : *named) {
      modules[std::string(name.str())] = package.value_or("");
    }
  }
  return modules;
}

// What is taken as it is; nullopt: the environment is built from packages.
Result<std::optional<Existing>> read_existing(const toml::table& table) {
  bool has_path = table.contains("path");
  bool is_distribution = table["distribution"].value_or(false);
  if (table.contains("distribution") && !table["distribution"].is_boolean()) {
    return fail(Code::invalid, "distribution is true or false");
  }
  bool has_packages = table.contains("packages");
  int ways = int{has_path} + int{is_distribution} + int{has_packages};
  bool is_built = ways == 0 && table.contains("pythons");  // from the companions alone
  if (ways != 1 && !is_built) {
    return fail(Code::invalid,
                "an [[environment]] has one of packages (a list to build it from), path (of a "
                "virtual environment) and distribution = true");
  }
  if (has_packages || is_built) return std::optional<Existing>();
  Existing existing;
  existing.modules = read_modules(table);
  existing.program = "/usr/bin/python3";
  if (has_path) {
    fs::path folder = table["path"].value_or("");
    if (!folder.is_absolute()) return fail(Code::invalid, "path is an absolute path of a folder");
    existing.program = folder.lexically_normal() / "bin/python";
  }
  return std::optional<Existing>(std::move(existing));
}

Result<Catalogue::Entry> read_entry(const toml::table& root, const toml::table& table) {
  Catalogue::Entry entry;
  entry.framework = table["framework"].value_or("");
  entry.version = table["version"].value_or("");
  entry.aliases = texts(table, "aliases");
  entry.repositories = texts(table, "repositories");
  entry.pythons = texts(table, "pythons");
  entry.existing = TRY(read_existing(table));
  entry.launcher = TRY(read_launcher(root, table));
  bool needs_pythons = !entry.existing && entry.pythons.empty();
  if (entry.framework.empty() || entry.version.empty() || needs_pythons) {
    return fail(Code::invalid, "an [[environment]] needs framework, version{}",
                entry.existing ? "" : ", pythons");
  }
  if (entry.existing) return entry;
  entry.packages = texts(table, "packages");
  auto companions = texts(root, "companions");
  if (table["companions"].value_or(true)) {
    entry.packages.insert(entry.packages.end(), companions.begin(), companions.end());
  }
  return entry;
}

}  // namespace

Result<ImageUri> ImageUri::parse(std::string_view text) {
  size_t slash = text.rfind('/');
  std::string_view name = slash == std::string_view::npos ? text : text.substr(slash + 1);
  size_t colon = name.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == name.size()) {
    return fail(Code::invalid,
                "image '{}' is not of the form <registry>/<repository>:<version>-<cpu|gpu>-py<NN> "
                "or <framework>:<version>",
                text);
  }
  ImageUri image;
  image.repository = name.substr(0, colon);
  auto words = split(name.substr(colon + 1), '-');
  image.version = words[0];
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "cpu" || words[i] == "gpu") image.processor = words[i];
    if (words[i].starts_with("py")) image.python = TRY(python_of_tag(words[i].substr(2)));
  }
  return image;
}

std::string Recipe::key() const {
  std::string text = interpreter.program.string() + "\n" + interpreter.version;
  for (const std::string& package : packages) text += "\n" + package;
  std::string digest(32, '\0');
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  return fmt::format("{}-{}", name, to_hex(digest).substr(0, 12));
}

Result<Catalogue> Catalogue::load(const fs::path& toml_file,
                                  std::vector<Interpreter> interpreters) {
  std::string text = TRY(read_file(toml_file));
  toml::table root;
  try {
    root = toml::parse(text, toml_file.string());
  } catch (const toml::parse_error& error) {
    std::ostringstream where;
    where << error.source();
    return fail(Code::invalid, "{}: {}", where.str(), error.description());
  }
  Catalogue catalogue;
  catalogue.interpreters_ = std::move(interpreters);
  const toml::array* list = root["environment"].as_array();
  if (list == nullptr) return fail(Code::invalid, "{}: no [[environment]]", toml_file.string());
  for (const auto& node : *list) {
    const toml::table* table = node.as_table();
    if (table == nullptr) continue;
    auto entry = read_entry(root, *table);
    if (!entry) {
      return fail(Code::invalid, "{}, line {}: {}", toml_file.string(), table->source().begin.line,
                  entry.error().message);
    }
    catalogue.entries_.push_back(*std::move(entry));
  }
  return catalogue;
}

Result<Recipe> Catalogue::make_recipe(const Entry& entry, const std::string& asked_python) const {
  Recipe recipe;
  recipe.framework = entry.framework;
  recipe.version = entry.version;
  recipe.launcher = entry.launcher;
  if (entry.existing) {
    recipe.name = fmt::format("{}-{}", entry.framework, entry.version);
    recipe.existing = entry.existing;
    recipe.interpreter.program = entry.existing->program;
    return recipe;
  }
  const Interpreter* best = nullptr;
  int wanted = number_of(asked_python.empty() ? entry.pythons.front() : asked_python);
  for (const Interpreter& candidate : interpreters_) {
    if (!contains(entry.pythons, candidate.version)) continue;
    auto distance = [&](const Interpreter& one) {
      return std::abs(number_of(one.version) - wanted);
    };
    if (best == nullptr || distance(candidate) < distance(*best)) best = &candidate;
  }
  if (best == nullptr) {
    return fail(Code::not_found, "{} {} needs one of Python {}, and this host has none of them",
                entry.framework, entry.version, fmt::join(entry.pythons, ", "));
  }
  recipe.name = fmt::format("{}-{}-py{}", entry.framework, entry.version,
                            replace_all(best->version, ".", ""));
  recipe.asked_python = asked_python;
  recipe.interpreter = *best;
  recipe.packages = entry.packages;
  return recipe;
}

Result<Recipe> Catalogue::resolve(const ImageUri& image) const {
  for (const Entry& entry : entries_) {
    bool is_repository =
        image.repository == entry.framework || contains(entry.repositories, image.repository);
    bool is_version = image.version == entry.version || contains(entry.aliases, image.version);
    if (is_repository && is_version && image.processor != "gpu") {
      return make_recipe(entry, image.python);
    }
  }
  std::set<std::string> known;
  for (const Entry& entry : entries_) {
    known.insert(fmt::format("{}:{}", entry.framework, entry.version));
    for (const std::string& alias : entry.aliases) {
      known.insert(fmt::format("{}:{}", entry.framework, alias));
    }
  }
  std::string asked = fmt::format("{}:{}", image.repository, image.version);
  if (image.processor == "gpu") asked += "-gpu";
  return fail(Code::not_found, "no managed environment for {}; known (cpu): {}", asked,
              fmt::join(known, ", "));
}

std::vector<Recipe> Catalogue::recipes() const {
  std::vector<Recipe> all;
  for (const Entry& entry : entries_) {
    if (auto recipe = make_recipe(entry, "")) all.push_back(std::move(*recipe));
  }
  return all;
}

}  // namespace trainyard::environments
