// SPDX-License-Identifier: Apache-2.0
// What SageMaker's API has no word for.
#include "api/sagemaker/actions.hpp"

namespace trainyard::api::sagemaker {

JsonReply interrupt_training_job(const Services& services, const json::object& request) {
  auto done = services.jobs.interrupt(*json::find_string(request, "TrainingJobName"));
  if (!done) return refuse_job(done.error());
  services.wake_scheduler();
  return "";
}

JsonReply describe_notices(const Services& services, const json::object& request) {
  auto job = services.jobs.find(*json::find_string(request, "TrainingJobName"));
  if (!job) return refuse_job(job.error());
  auto notices = json::parse(job->notices);
  if (!notices) return refuse_json(notices.error());
  return json::serialize(json::object{
      {"Notices", *notices}, {"Attempt", job->attempt}, {"Diagnosis", job->diagnosis}});
}

}  // namespace trainyard::api::sagemaker
