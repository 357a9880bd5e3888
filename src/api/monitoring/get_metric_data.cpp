// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "api/monitoring/actions.hpp"
#include "api/monitoring/query.hpp"
#include "api/sagemaker/actions.hpp"

namespace trainyard::api::monitoring {

namespace {

constexpr size_t kMaxQueries = 500;

aws::Fault invalid(std::string message) {
  return {"ValidationError", std::move(message)};
}

std::optional<aws::Fault> check_queries(const json::array& queries) {
  if (queries.empty() || queries.size() > kMaxQueries) {
    return invalid(fmt::format("MetricDataQueries has from 1 to {} queries", kMaxQueries));
  }
  std::set<std::string> ids;
  for (const json::value& value : queries) {
    const json::object& query = value.get_object();
    std::string id = *json::find_string(query, "Id");
    if (!ids.insert(id).second) return invalid("Duplicate Id '" + id + "' in MetricDataQueries");
    const json::object* stat = json::find_object(query, "MetricStat");
    if (stat == nullptr || json::find(query, "Expression") != nullptr) {
      return invalid("Query '" + id +
                     "': expressions are not supported; each query needs a MetricStat");
    }
    if (auto fault = check_period(*json::find_integer(*stat, "Period"))) return fault;
    std::string name = *json::find_string(*stat, "Stat");
    if (!statistic({}, name)) {
      return invalid(
          fmt::format("Query '{}': statistic '{}' is not supported; ask for "
                      "SampleCount, Average, Sum, Minimum or Maximum",
                      id, name));
    }
  }
  return std::nullopt;
}

Result<json::object> answer(const Services& services, const json::object& query, Time start,
                            Time end, bool is_descending) {
  const json::object& stat = *json::find_object(query, "MetricStat");
  json::object metric = *json::find_object(stat, "Metric");
  if (auto unit = json::find_string(stat, "Unit")) metric["Unit"] = *unit;
  auto aggregates =
      TRY(find_statistics(services, metric, start, end, *json::find_integer(stat, "Period")));
  if (is_descending) std::reverse(aggregates.begin(), aggregates.end());
  json::array timestamps, values;
  for (const metrics::Aggregate& aggregate : aggregates) {
    timestamps.push_back(sagemaker::to_timestamp(aggregate.start));
    values.emplace_back(*statistic(aggregate, *json::find_string(stat, "Stat")));
  }
  std::string name = json::find_string(metric, "MetricName").value_or("");
  return json::object{{"Id", *json::find_string(query, "Id")},
                      {"Label", json::find_string(query, "Label").value_or(name)},
                      {"Timestamps", std::move(timestamps)},
                      {"Values", std::move(values)},
                      {"StatusCode", "Complete"}};
}

}  // namespace

JsonReply get_metric_data(const Services& services, const json::object& request) {
  const json::array& queries = *json::find_array(request, "MetricDataQueries");
  if (auto fault = check_queries(queries)) return tl::unexpected(*fault);
  Time start = time_of(request, "StartTime");
  Time end = time_of(request, "EndTime");
  if (start >= end) {
    return refuse_json("ValidationError",
                       "The parameter StartTime must be less than the parameter EndTime.");
  }
  bool is_descending = json::find_string(request, "ScanBy") != "TimestampAscending";
  json::array results;
  for (const json::value& query : queries) {
    if (json::find_bool(query.get_object(), "ReturnData") == false) continue;
    auto result = answer(services, query.get_object(), start, end, is_descending);
    if (!result) return refuse_json(result.error());
    results.push_back(*std::move(result));
  }
  return json::serialize(
      json::object{{"MetricDataResults", std::move(results)}, {"Messages", json::array()}});
}

}  // namespace trainyard::api::monitoring
