// SPDX-License-Identifier: Apache-2.0
// BatchPutMetrics of sagemaker-metrics: a script's own values, kept under the dimension
// TrialComponentName.
#include <cmath>

#include "api/sagemaker/actions.hpp"

namespace trainyard::api::sagemaker {

JsonReply batch_put_metrics(const Services& services, const json::object& request) {
  std::string component = *json::find_string(request, "TrialComponentName");
  const json::array& data = *json::find_array(request, "MetricData");
  std::vector<metrics::Sample> samples;
  json::array errors;
  for (size_t i = 0; i < data.size(); ++i) {
    const json::object& entry = data[i].get_object();
    double value = json::find(entry, "Value")->to_number<double>();
    double seconds = json::find(entry, "Timestamp")->to_number<double>();
    if (!std::isfinite(value) || seconds < 0 || seconds > 1e12) {
      errors.push_back(json::object{{"Code", "VALIDATION_ERROR"}, {"MetricIndex", i}});
      continue;
    }
    samples.push_back({*json::find_string(entry, "MetricName"),
                       {"TrialComponentName", component},
                       from_epoch_ms(static_cast<int64_t>(seconds * 1000.0)),
                       value});
  }
  auto added = services.metrics.add(samples);
  if (!added) return refuse_json(added.error());
  json::object answer;
  if (!errors.empty()) answer["Errors"] = std::move(errors);
  return json::serialize(answer);
}

}  // namespace trainyard::api::sagemaker
