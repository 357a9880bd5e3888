// SPDX-License-Identifier: Apache-2.0
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html
#pragma once

#include "api/services.hpp"

namespace trainyard::api::logs {

JsonReply describe_log_groups(const Services& services, const json::object& request);
JsonReply describe_log_streams(const Services& services, const json::object& request);
JsonReply get_log_events(const Services& services, const json::object& request);
JsonReply filter_log_events(const Services& services, const json::object& request);

}  // namespace trainyard::api::logs
