// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/logs/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::logs {

namespace {

std::string group_arn(const Account& account) {
  return fmt::format("arn:aws:logs:{}:{}:log-group:{}", account.region, account.id, kLogGroup);
}

json::object describe(const trainyard::logs::Stream& stream, const Account& account) {
  json::object entry{{"logStreamName", stream.name},
                     {"creationTime", to_epoch_ms(stream.created)},
                     {"arn", fmt::format("{}:log-stream:{}", group_arn(account), stream.name)},
                     {"storedBytes", stream.size_bytes}};
  if (stream.first_event) entry["firstEventTimestamp"] = to_epoch_ms(*stream.first_event);
  if (stream.last_event) entry["lastEventTimestamp"] = to_epoch_ms(*stream.last_event);
  if (stream.last_ingestion) entry["lastIngestionTime"] = to_epoch_ms(*stream.last_ingestion);
  return entry;
}

}  // namespace

JsonReply describe_log_groups(const Services& services, const json::object& request) {
  std::string prefix = json::find_string(request, "logGroupNamePrefix").value_or("");
  std::string pattern = json::find_string(request, "logGroupNamePattern").value_or("");
  auto has_streams = services.logs.has_streams();
  if (!has_streams) return refuse_json(has_streams.error());
  bool is_asked = kLogGroup.starts_with(prefix) && kLogGroup.find(pattern) != std::string::npos;
  json::array groups;
  if (*has_streams && is_asked) {
    groups.push_back(json::object{{"logGroupName", kLogGroup},
                                  {"arn", group_arn(services.account) + ":*"},
                                  {"metricFilterCount", 0},
                                  {"storedBytes", 0}});
  }
  return json::serialize(json::object{{"logGroups", std::move(groups)}});
}

JsonReply describe_log_streams(const Services& services, const json::object& request) {
  auto has_streams = services.logs.has_streams();
  if (!has_streams) return refuse_json(has_streams.error());
  if (json::find_string(request, "logGroupName") != kLogGroup || !*has_streams) {
    return refuse_json("ResourceNotFoundException", "The specified log group does not exist.");
  }
  auto limit = static_cast<size_t>(
      std::clamp<int64_t>(json::find_integer(request, "limit").value_or(50), 1, 50));
  std::string prefix = json::find_string(request, "logStreamNamePrefix").value_or("");
  std::string after =
      from_base64(json::find_string(request, "nextToken").value_or("")).value_or("");
  auto streams = services.logs.streams(prefix, after, limit + 1);
  if (!streams) return refuse_json(streams.error());
  json::object document;
  // A token on a complete listing would send the SDK v2 round for ever: contract.md K.1.
  bool is_truncated = streams->size() > limit;
  if (is_truncated) {
    streams->resize(limit);
    document["nextToken"] = to_base64(streams->back().name);
  }
  json::array entries;
  for (const auto& stream : *streams) entries.push_back(describe(stream, services.account));
  document["logStreams"] = std::move(entries);
  return json::serialize(document);
}

}  // namespace trainyard::api::logs
