// SPDX-License-Identifier: Apache-2.0
// SageMaker's actions, each named as in
// https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations.html
#pragma once

#include <string_view>

#include "api/services.hpp"

namespace trainyard::api::sagemaker {

JsonReply create_training_job(const Services& services, const json::object& request);
JsonReply describe_training_job(const Services& services, const json::object& request);
JsonReply list_training_jobs(const Services& services, const json::object& request);
JsonReply stop_training_job(const Services& services, const json::object& request);
JsonReply list_tags(const Services& services, const json::object& request);

// "arn:aws:sagemaker:us-west-2:123456789012:training-job/digits-1"
std::string job_arn(const Account& account, std::string_view job_name);

// Epoch seconds with a millisecond fraction: contract.md A.2.
json::value to_timestamp(Time time);

}  // namespace trainyard::api::sagemaker
