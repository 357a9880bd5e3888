// SPDX-License-Identifier: Apache-2.0
#include <toml++/toml.h>

#include "main/engines.hpp"

namespace trainyard {

namespace {

Result<EngineRule> parse_rule(const toml::node& node) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return fail(Code::invalid, "it is no table");
  EngineRule rule;
  for (const auto& [key, value] : *table) {
    std::string* target = key.str() == "instance_type" ? &rule.instance_type
                          : key.str() == "image"       ? &rule.image
                          : key.str() == "engine"      ? &rule.engine
                                                       : nullptr;
    auto text = value.value_exact<std::string>();
    if (target == nullptr || !text) {
      return fail(Code::invalid, "'{}': there are the texts instance_type, image and engine",
                  key.str());
    }
    *target = *text;
  }
  if (rule.engine == "local" || rule.engine == "docker") return rule;
  return fail(Code::invalid, "engine is local or docker, not '{}'", rule.engine);
}

}  // namespace

Result<std::vector<EngineRule>> read_engine_rules(const fs::path& file) {
  std::string text = TRY(read_file(file));
  toml::table root;
  try {
    root = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    return fail(Code::invalid, "{}: {}", file.string(), error.description());
  }
  std::vector<EngineRule> rules;
  const toml::table* engine = root["engine"].as_table();
  if (engine == nullptr) return rules;
  for (const auto& [key, node] : *engine) {
    const toml::array* list = node.as_array();
    if (key.str() != "rules" || list == nullptr) {
      return fail(Code::invalid, "{}: [engine] has the list [[engine.rules]] only, not '{}'",
                  file.string(), key.str());
    }
    for (const toml::node& entry : *list) {
      auto rule = parse_rule(entry);
      if (!rule) {
        return Failure(std::move(rule).error().within(file.string() + ": [[engine.rules]]"));
      }
      rules.push_back(std::move(*rule));
    }
  }
  return rules;
}

std::string engine_rules_example() {
  return R"(# Which engine runs a job: the first rule that fits; a job's tag trainyard:engine wins.
# Without one: local for images of managed environments, docker for others where there is Docker.
# [[engine.rules]]
# instance_type = "ml.p3.*"                 # pattern; left out: any
# image = "*/my-team/*"
# engine = "docker"                         # or "local"
)";
}

}  // namespace trainyard
