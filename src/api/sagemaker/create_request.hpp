// SPDX-License-Identifier: Apache-2.0
// CreateTrainingJob's request: its cross-field rules, and its way into our words.
#pragma once

#include <optional>

#include "api/services.hpp"
#include "metrics/extraction.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::api::sagemaker {

// Rules that join several members, and what is not supported (contract.md B.2, M 17 and 18).
// Requires: the shape holds, here and below.
std::optional<aws::Fault> check_rules(const json::object& request);

// Reserved and repeated keys of tags.
std::optional<aws::Fault> check_tag_keys(const json::array& tags);

// MetricDefinitions of a request that was taken.
std::vector<metrics::Definition> metric_definitions(const json::object& request);

// Requires: the rules hold. Server, host settings and times are left open.
protocol::Assignment to_assignment(const json::object& request);

}  // namespace trainyard::api::sagemaker
