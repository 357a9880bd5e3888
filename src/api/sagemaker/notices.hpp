// SPDX-License-Identifier: Apache-2.0
// What of a request has an effect on SageMaker but none here. It is said in the job's log and by
// `trainyard describe`, never passed over in silence.
#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"

namespace trainyard::api::sagemaker {

// One sentence for each such member of a CreateTrainingJob request.
std::vector<std::string> notices_of(const json::object& request);

}  // namespace trainyard::api::sagemaker
