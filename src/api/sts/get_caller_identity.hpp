// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "http/message.hpp"

namespace trainyard::api::sts {

// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
http::Response get_caller_identity(std::string_view account_id, std::string_view access_key,
                                   std::string_view request_id);

}  // namespace trainyard::api::sts
