// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/services.hpp"

namespace trainyard::api::sts {

// The caller has assumed the role api::kRole: clients look for an execution role in its ARN
// (contract.md A.6).
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
http::Response get_caller_identity(const Account& account, bool is_job,
                                   std::string_view request_id);

}  // namespace trainyard::api::sts
