// SPDX-License-Identifier: Apache-2.0
// What GetMetricStatistics and GetMetricData share: which series, which times, which statistic.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/services.hpp"

namespace trainyard::api::monitoring {

// A request's time, epoch seconds, in milliseconds' precision.
Time time_of(const json::object& request, std::string_view name);

// The one dimension that series have here; nullopt where the request names none or several, for
// which there are no series.
std::optional<metrics::Dimension> dimension_of(const json::object& request);

// "Percent" of what instances measure, else "None".
std::string_view unit_of(const metrics::Dimension& dimension);

// CloudWatch's periods: 1, 5, 10, 30 and multiples of 60 seconds.
std::optional<aws::Fault> check_period(int64_t seconds);

// "Average" of an aggregate; nullopt for a statistic that aggregates cannot give.
std::optional<double> statistic(const metrics::Aggregate& aggregate, std::string_view name);

// The aggregates of a series; empty for a namespace, dimension or unit that has none.
Result<std::vector<metrics::Aggregate>> find_statistics(const Services& services,
                                                        const json::object& metric, Time start,
                                                        Time end, int64_t period_seconds);

}  // namespace trainyard::api::monitoring
