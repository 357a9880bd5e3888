// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/monitoring/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::monitoring {

namespace {

constexpr size_t kPageSize = 500;

bool is_asked_for(const metrics::Series& series, const json::object& request) {
  auto name = json::find_string(request, "MetricName");
  if (name && *name != series.name) return false;
  const json::array* filters = json::find_array(request, "Dimensions");
  if (filters == nullptr) return true;
  return std::all_of(filters->begin(), filters->end(), [&](const json::value& value) {
    const json::object& filter = value.get_object();
    auto wanted = json::find_string(filter, "Value");
    return json::find_string(filter, "Name") == series.dimension.name &&
           (!wanted || *wanted == series.dimension.value);
  });
}

json::object to_metric(const metrics::Series& series) {
  return {{"Namespace", kMetricNamespace},
          {"MetricName", series.name},
          {"Dimensions", json::array{json::object{{"Name", series.dimension.name},
                                                  {"Value", series.dimension.value}}}}};
}

}  // namespace

JsonReply list_metrics(const Services& services, const json::object& request) {
  int64_t after = 0;
  if (auto token = json::find_string(request, "NextToken")) {
    auto parsed = parse_signed(*token);
    if (!parsed) {
      return refuse_json("InvalidParameterValue", "NextToken is not one of this service");
    }
    after = *parsed;
  }
  json::object answer;
  json::array list;
  bool has_namespace =
      json::find_string(request, "Namespace").value_or(std::string(kMetricNamespace)) ==
      kMetricNamespace;
  while (has_namespace) {
    auto page = services.metrics.series(after, kPageSize);
    if (!page) return refuse_json(page.error());
    for (const metrics::Series& series : *page) {
      if (list.size() == kPageSize) {
        answer["NextToken"] = std::to_string(after);
        has_namespace = false;
        break;
      }
      after = series.id;
      if (is_asked_for(series, request)) list.push_back(to_metric(series));
    }
    if (page->size() < kPageSize) break;
  }
  answer["Metrics"] = std::move(list);
  return json::serialize(answer);
}

}  // namespace trainyard::api::monitoring
