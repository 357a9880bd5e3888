// SPDX-License-Identifier: Apache-2.0
// The service model: what AWS says of the requests that we answer. tools/api_model.py takes it from
// botocore; what Trainyard demands beyond it stands in api_model.cpp.
#pragma once

#include <string_view>

#include "api/model/shape.hpp"

namespace trainyard::api {

// The input of an operation, "CreateTrainingJob". One that the model lacks is a bug.
const Shape& input_of(std::string_view operation);

extern const char* const kApiModelText;  // api_model.json, built in

}  // namespace trainyard::api
