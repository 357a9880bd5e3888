// SPDX-License-Identifier: Apache-2.0
#include "model/channel.hpp"

#include <array>
#include <utility>

namespace trainyard {

namespace {

template <class Enum, size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<InputMode, 3> kInputModes = {{
    {InputMode::file, "File"},
    {InputMode::fast_file, "FastFile"},
    {InputMode::pipe, "Pipe"},
}};
constexpr Names<S3DataType, 3> kDataTypes = {{
    {S3DataType::prefix, "S3Prefix"},
    {S3DataType::manifest, "ManifestFile"},
    {S3DataType::augmented_manifest, "AugmentedManifestFile"},
}};
constexpr Names<Distribution, 2> kDistributions = {{
    {Distribution::fully_replicated, "FullyReplicated"},
    {Distribution::sharded_by_key, "ShardedByS3Key"},
}};

template <class Enum, size_t N>
std::string_view name_in(const Names<Enum, N>& names, Enum wanted) {
  for (const auto& [value, name] : names) {
    if (value == wanted) return name;
  }
  return "";
}

template <class Enum, size_t N>
std::optional<Enum> value_in(const Names<Enum, N>& names, std::string_view wanted) {
  for (const auto& [value, name] : names) {
    if (name == wanted) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view api_name(InputMode mode) {
  return name_in(kInputModes, mode);
}
std::string_view api_name(S3DataType type) {
  return name_in(kDataTypes, type);
}
std::string_view api_name(Distribution distribution) {
  return name_in(kDistributions, distribution);
}

std::optional<InputMode> parse_input_mode(std::string_view name) {
  return value_in(kInputModes, name);
}
std::optional<S3DataType> parse_data_type(std::string_view name) {
  return value_in(kDataTypes, name);
}
std::optional<Distribution> parse_distribution(std::string_view name) {
  return value_in(kDistributions, name);
}

}  // namespace trainyard
