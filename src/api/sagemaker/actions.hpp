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
JsonReply update_training_job(const Services& services, const json::object& request);
JsonReply delete_training_job(const Services& services, const json::object& request);
JsonReply search(const Services& services, const json::object& request);
JsonReply add_tags(const Services& services, const json::object& request);
JsonReply list_tags(const Services& services, const json::object& request);
JsonReply delete_tags(const Services& services, const json::object& request);
JsonReply batch_put_metrics(const Services& services, const json::object& request);

// Our own, for the command line. Takes a spot job's instance away, as AWS does when it needs it.
JsonReply interrupt_training_job(const Services& services, const json::object& request);
// {"Notices":[…],"Attempt":2,"Diagnosis":"…"}: what Describe has no member for.
JsonReply describe_notices(const Services& services, const json::object& request);

// DescribeTrainingJob's answer.
Result<json::object> describe(const Services& services, const jobs::Job& job);

// What an error of the store means to the caller of an action on one job: contract.md E.2, M 11.
tl::unexpected<aws::Fault> refuse_job(const Error& error);

// "arn:aws:sagemaker:us-west-2:123456789012:training-job/digits-1"
std::string job_arn(const Account& account, std::string_view job_name);

// Epoch seconds with a millisecond fraction: contract.md A.2.
json::value to_timestamp(Time time);

}  // namespace trainyard::api::sagemaker
