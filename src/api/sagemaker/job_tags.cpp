// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/job_tags.hpp"

#include <map>

namespace trainyard::api::sagemaker {

namespace {

constexpr std::string_view kPrefix = "trainyard:";
constexpr std::string_view kRecords = "trainyard:records";
constexpr std::string_view kSharding = "trainyard:sharding";
constexpr std::string_view kEngine = "trainyard:engine";

std::map<std::string, std::string> own_tags(const json::object& request) {
  std::map<std::string, std::string> own;
  const json::array* tags = json::find_array(request, "Tags");
  if (tags == nullptr) return own;
  for (const json::value& tag : *tags) {
    std::string key = *json::find_string(tag.get_object(), "Key");
    if (key.starts_with(kPrefix)) own[key] = *json::find_string(tag.get_object(), "Value");
  }
  return own;
}

}  // namespace

std::optional<aws::Fault> check_job_tags(const json::object& request) {
  for (const auto& [key, value] : own_tags(request)) {
    if (key == kRecords && protocol::parse_record_policy(value)) continue;
    if (key == kSharding && value == "bytes") continue;
    if (key == kEngine && (value == "local" || value == "docker")) continue;
    return aws::Fault{
        "ValidationException",
        fmt::format("Tag '{}' = '{}' means nothing to Trainyard; there are {} = report, fail, "
                    "skip-object or ignore, {} = bytes, and {} = local or docker",
                    key, value, kRecords, kSharding, kEngine)};
  }
  return std::nullopt;
}

void apply_job_tags(const json::object& request, protocol::Assignment& assignment) {
  auto own = own_tags(request);
  if (auto tag = own.find(std::string(kRecords)); tag != own.end()) {
    assignment.record_policy = protocol::parse_record_policy(tag->second);
  }
  if (auto tag = own.find(std::string(kEngine)); tag != own.end()) assignment.engine = tag->second;
  assignment.is_sharded_by_bytes = own.count(std::string(kSharding)) != 0;
}

}  // namespace trainyard::api::sagemaker
