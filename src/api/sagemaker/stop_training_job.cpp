// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/actions.hpp"
#include "api/sagemaker/shape.hpp"

namespace trainyard::api::sagemaker {

JsonReply stop_training_job(const Services& services, const json::object& request) {
  static const Shape kShape = structure({{"TrainingJobName", text(1, 63), kRequired}});
  if (auto fault = check(request, kShape)) return tl::unexpected(*fault);
  std::string name = *json::find_string(request, "TrainingJobName");
  auto moved = services.jobs.apply(name, JobEvent::stop_requested);
  if (!moved && moved.error().code == Code::not_found) {
    return refuse_json("ValidationException", "Requested resource not found.");
  }
  if (!moved) return refuse_json(moved.error());
  if (!*moved) {
    auto job = services.jobs.find(name);
    if (!job) return refuse_json(job.error());
    if (is_terminal(job->phase)) {
      return refuse_json("ValidationException",
                         fmt::format("The request was rejected because the training job is in "
                                     "status {}",
                                     api_name(status_of(job->phase))));
    }
  }
  services.wake_scheduler();
  return "";
}

JsonReply list_tags(const Services& services, const json::object& request) {
  static const Shape kShape = structure({{"ResourceArn", text(0, 256), kRequired}});
  if (auto fault = check(request, kShape)) return tl::unexpected(*fault);
  std::string arn = *json::find_string(request, "ResourceArn");
  auto job = services.jobs.find(arn.substr(arn.rfind('/') + 1));
  if (!job || job->arn != arn) {
    return refuse_json("ValidationException", "Resource does not exist");
  }
  return fmt::format("{{\"Tags\":{}}}", job->tags);
}

}  // namespace trainyard::api::sagemaker
