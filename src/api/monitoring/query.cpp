// SPDX-License-Identifier: Apache-2.0
#include "api/monitoring/query.hpp"

#include <algorithm>
#include <array>

namespace trainyard::api::monitoring {

Time time_of(const json::object& request, std::string_view name) {
  const json::value* value = json::find(request, name);
  double seconds = value == nullptr ? 0 : value->to_number<double>();
  return from_epoch_ms(static_cast<int64_t>(std::clamp(seconds, 0.0, 1e12) * 1000.0));
}

std::optional<metrics::Dimension> dimension_of(const json::object& request) {
  const json::array* dimensions = json::find_array(request, "Dimensions");
  if (dimensions == nullptr || dimensions->size() != 1) return std::nullopt;
  const json::object& one = (*dimensions)[0].get_object();
  return metrics::Dimension{*json::find_string(one, "Name"), *json::find_string(one, "Value")};
}

std::string_view unit_of(const metrics::Dimension& dimension) {
  return dimension.name == "Host" ? "Percent" : "None";
}

std::optional<aws::Fault> check_period(int64_t seconds) {
  constexpr std::array<int64_t, 5> kShort = {1, 5, 10, 20, 30};
  bool is_short = std::find(kShort.begin(), kShort.end(), seconds) != kShort.end();
  if (is_short || seconds % 60 == 0) return std::nullopt;
  return aws::Fault{
      "InvalidParameterValue",
      fmt::format("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, "
                  "not {}.",
                  seconds)};
}

std::optional<double> statistic(const metrics::Aggregate& aggregate, std::string_view name) {
  if (name == "SampleCount") return static_cast<double>(aggregate.count);
  if (name == "Average") return aggregate.sum / static_cast<double>(aggregate.count);
  if (name == "Sum") return aggregate.sum;
  if (name == "Minimum") return aggregate.minimum;
  if (name == "Maximum") return aggregate.maximum;
  return std::nullopt;
}

Result<std::vector<metrics::Aggregate>> find_statistics(const Services& services,
                                                        const json::object& metric, Time start,
                                                        Time end, int64_t period_seconds) {
  auto dimension = dimension_of(metric);
  auto unit = json::find_string(metric, "Unit");
  bool can_exist = dimension && json::find_string(metric, "Namespace") == kMetricNamespace &&
                   (!unit || *unit == unit_of(*dimension));
  if (!can_exist) return std::vector<metrics::Aggregate>();
  // CloudWatch drops the seconds of the start.
  auto whole_minute = std::chrono::floor<std::chrono::minutes>(start);
  return services.metrics.statistics({json::find_string(metric, "MetricName").value_or(""),
                                      *dimension, whole_minute, end,
                                      std::chrono::seconds(period_seconds)});
}

}  // namespace trainyard::api::monitoring
