// SPDX-License-Identifier: Apache-2.0
// CreateTrainingJob's request: its shape, its cross-field rules, and its way into our words.
#pragma once

#include "api/sagemaker/shape.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::api::sagemaker {

const Shape& create_training_job_shape();

// Rules that join several members, and what is not supported (contract.md B.2, M 17 and 18).
std::optional<aws::Fault> check_rules(const json::object& request);

// Requires: the shape and the rules hold. Server, host settings and times are left open.
protocol::Assignment to_assignment(const json::object& request);

}  // namespace trainyard::api::sagemaker
