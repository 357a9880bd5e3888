// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/service.hpp"

namespace trainyard::cli {

// The defaults file of the SageMaker SDKs (contract.md A.4): no telemetry, an execution role, and a
// bucket where `bucket` is not empty.
std::string sdk_config_text(const Caller& caller, const std::string& bucket);

}  // namespace trainyard::cli
