// SPDX-License-Identifier: Apache-2.0
#include "main/instance_types.hpp"

#include <toml++/toml.h>

#include <sstream>

#include "base/text.hpp"

namespace trainyard {

namespace {

Result<Resources> parse_size(const toml::table& table) {
  Resources size;
  for (const auto& [key, node] : table) {
    auto number = node.value<double>();
    if (!number || *number < 0 || *number > 1e6) {
      return fail(Code::invalid, "{} is a number that is not negative", key.str());
    }
    if (key == "vcpus")
      size.vcpus = *number;
    else if (key == "memory_gib")
      size.memory_bytes = static_cast<int64_t>(*number * (1 << 30));
    else if (key == "gpus")
      size.gpus = static_cast<int64_t>(*number);
    else
      return fail(Code::invalid, "'{}' is no member; there are vcpus, memory_gib, gpus", key.str());
  }
  return size;
}

}  // namespace

Result<InstanceTypes> load_instance_types(const fs::path& file) {
  std::string text = TRY(read_file(file));
  toml::table root;
  try {
    root = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    std::ostringstream where;
    where << error.source();
    return fail(Code::invalid, "{}: {}", where.str(), error.description());
  }
  InstanceTypes types;
  for (const auto& [key, node] : root) {
    std::string name(key.str());
    const toml::table* table = node.as_table();
    auto size = table != nullptr ? parse_size(*table)
                                 : Result<Resources>(fail(Code::invalid, "it is no table"));
    if (size && name != "default" && !name.starts_with("ml.")) {
      size = fail(Code::invalid, "names of instance types begin with \"ml.\"");
    }
    if (!size) {
      return Failure(std::move(size).error().within(fmt::format("{}: [{}]", file.string(), name)));
    }
    if (name == "default")
      types.other = *size;
    else
      types.sizes[name] = *size;
  }
  return types;
}

int64_t count_gpus() {
  int64_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev", error)) {
    std::string name = entry.path().filename().string();
    constexpr std::string_view kDevice = "nvidia";
    bool is_gpu = name.starts_with(kDevice) && parse_unsigned(name.substr(kDevice.size()));
    if (is_gpu) ++count;
  }
  return count;
}

}  // namespace trainyard
