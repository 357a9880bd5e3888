// SPDX-License-Identifier: Apache-2.0
// CloudWatch's metrics (contract.md K.2), each action named as in
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Operations.html
#pragma once

#include "api/services.hpp"

namespace trainyard::api::monitoring {

JsonReply get_metric_statistics(const Services& services, const json::object& request);
JsonReply get_metric_data(const Services& services, const json::object& request);
JsonReply list_metrics(const Services& services, const json::object& request);

}  // namespace trainyard::api::monitoring
