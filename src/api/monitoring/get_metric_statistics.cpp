// SPDX-License-Identifier: Apache-2.0
#include "api/monitoring/actions.hpp"
#include "api/monitoring/query.hpp"
#include "api/sagemaker/actions.hpp"

namespace trainyard::api::monitoring {

namespace {

constexpr int64_t kMaxDatapoints = 1440;

std::optional<aws::Fault> check_request(const json::object& request, Time start, Time end,
                                        int64_t period) {
  if (json::find(request, "ExtendedStatistics") != nullptr) {
    return aws::Fault{"InvalidParameterValue",
                      "ExtendedStatistics are not supported: values are kept as aggregates. Ask "
                      "for Statistics."};
  }
  if (json::find(request, "Statistics") == nullptr) {
    return aws::Fault{"MissingParameter",
                      "The parameter Statistics or ExtendedStatistics must be given."};
  }
  if (start >= end) {
    return aws::Fault{"InvalidParameterValue",
                      "The parameter StartTime must be less than the parameter EndTime."};
  }
  if (auto fault = check_period(period)) return fault;
  int64_t asked = std::chrono::ceil<std::chrono::seconds>(end - start).count() / period;
  if (asked > kMaxDatapoints) {
    return aws::Fault{
        "InvalidParameterCombination",
        fmt::format("You have requested up to {} datapoints, which exceeds the limit of {}. You "
                    "may reduce the datapoints requested by increasing Period, or decreasing the "
                    "time range.",
                    asked, kMaxDatapoints)};
  }
  return std::nullopt;
}

}  // namespace

JsonReply get_metric_statistics(const Services& services, const json::object& request) {
  Time start = time_of(request, "StartTime");
  Time end = time_of(request, "EndTime");
  int64_t period = *json::find_integer(request, "Period");
  if (auto fault = check_request(request, start, end, period)) return tl::unexpected(*fault);
  auto found = find_statistics(services, request, start, end, period);
  if (!found) return refuse_json(found.error());
  auto statistics = *json::find_texts(request, "Statistics");
  json::array datapoints;
  for (const metrics::Aggregate& aggregate : *found) {
    json::object point{{"Timestamp", sagemaker::to_timestamp(aggregate.start)},
                       {"Unit", unit_of(*dimension_of(request))}};
    for (const std::string& name : statistics) point[name] = *statistic(aggregate, name);
    datapoints.push_back(std::move(point));
  }
  return json::serialize(json::object{{"Label", *json::find_string(request, "MetricName")},
                                      {"Datapoints", std::move(datapoints)}});
}

}  // namespace trainyard::api::monitoring
