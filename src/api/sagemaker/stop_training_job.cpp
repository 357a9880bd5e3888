// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/actions.hpp"

namespace trainyard::api::sagemaker {

JsonReply stop_training_job(const Services& services, const json::object& request) {
  std::string name = *json::find_string(request, "TrainingJobName");
  auto moved = services.jobs.apply(name, JobEvent::stop_requested);
  if (!moved) return refuse_job(moved.error());
  if (!*moved) {
    auto job = services.jobs.find(name);
    if (!job) return refuse_json(job.error());
    if (is_terminal(job->phase)) {
      return refuse_json("ValidationException",
                         fmt::format("The request was rejected because the training job is in "
                                     "status {}",
                                     api_name(status_of(*job))));
    }
  }
  services.wake_scheduler();
  return "";
}

}  // namespace trainyard::api::sagemaker
