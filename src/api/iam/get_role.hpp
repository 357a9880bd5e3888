// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "api/services.hpp"

namespace trainyard::api::iam {

// Every role is there, and SageMaker may assume it (contract.md A.6).
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
http::Response get_role(const Account& account, const std::string& role_name,
                        const std::string& request_id);

}  // namespace trainyard::api::iam
