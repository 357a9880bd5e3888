// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "api/services.hpp"

namespace trainyard::api::iam {

// There are no policies here: every one of the form's ActionNames.member.N is allowed on every one
// of its ResourceArns.member.N.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
http::Response simulate_principal_policy(const std::map<std::string, std::string>& form,
                                         const std::string& request_id);

}  // namespace trainyard::api::iam
