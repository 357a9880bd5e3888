// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/actions.hpp"
#include "api/sagemaker/create_request.hpp"
#include "api/sagemaker/notices.hpp"
#include "base/text.hpp"
#include "model/s3_uri.hpp"

namespace trainyard::api::sagemaker {

namespace {

// Our own store, or where the bucket lives. A bucket that is not there has no objects.
tl::expected<bool, aws::Fault> has_objects(const Services& services, const S3Uri& prefix) {
  if (auto remote = services.probe_remote(prefix)) {
    if (*remote || remote->error().code == Code::not_found) return remote->value_or(false);
    return tl::unexpected(
        aws::Fault{"ValidationException", fmt::format("The S3 URL \"{}\" cannot be listed: {}",
                                                      prefix.text(), remote->error().message)});
  }
  auto listing = services.objects.list(prefix.bucket, {prefix.key, "", "", 1});
  if (!listing && listing.error().code != "NoSuchBucket") {
    return tl::unexpected<aws::Fault>(listing.error());
  }
  return listing && !listing->objects.empty();
}

// AWS lists the prefix during Create: contract.md B.2 (5), E.2.
std::optional<aws::Fault> check_data(const Services& services, const protocol::Assignment& job,
                                     const std::string& role) {
  for (const Channel& channel : job.channels) {
    auto uri = S3Uri::parse(channel.s3_uri);
    auto has_some = has_objects(services, *uri);
    if (!has_some) return has_some.error();
    if (*has_some) continue;
    return aws::Fault{
        "ValidationException",
        fmt::format("No S3 objects found under S3 URL \"{}\" given in input data source. Please "
                    "ensure that the bucket exists in the selected region ({}), that objects exist "
                    "under that S3 prefix, and that the role \"{}\" has \"s3:ListBucket\" "
                    "permissions on bucket \"{}\".",
                    channel.s3_uri, services.account.region, role, uri->bucket)};
  }
  return std::nullopt;
}

void fill_retries(jobs::NewJob& job, const json::object& request) {
  const json::object* retry = json::find_object(request, "RetryStrategy");
  const json::object* stopping = json::find_object(request, "StoppingCondition");
  if (retry != nullptr) {
    job.max_retries = json::find_integer(*retry, "MaximumRetryAttempts").value_or(0);
  }
  job.is_spot = json::find_bool(request, "EnableManagedSpotTraining").value_or(false);
  if (job.is_spot && stopping != nullptr) {
    job.max_wait_seconds = json::find_integer(*stopping, "MaxWaitTimeInSeconds");
  }
}

}  // namespace

std::string job_arn(const Account& account, std::string_view job_name) {
  return fmt::format("arn:aws:sagemaker:{}:{}:training-job/{}", account.region, account.id,
                     job_name);
}

JsonReply create_training_job(const Services& services, const json::object& request) {
  if (auto fault = check_rules(request)) return tl::unexpected(*fault);
  protocol::Assignment assignment = to_assignment(request);
  std::string arn = job_arn(services.account, assignment.job_name);
  auto name_in_use = [&](const std::string& taken) {
    return refuse_json("ResourceInUse",
                       fmt::format("Training job names must be unique within an AWS account and "
                                   "region, and a training job with this name already exists ({})",
                                   taken));
  };
  if (services.jobs.find(assignment.job_name)) return name_in_use(arn);
  std::string role = *json::find_string(request, "RoleArn");
  if (auto fault = check_data(services, assignment, role)) return tl::unexpected(*fault);

  assignment.job_arn = arn;
  assignment.created_ms = to_epoch_ms(services.clock.now());
  assignment.notices = notices_of(request);
  const json::array* tags = json::find_array(request, "Tags");
  jobs::NewJob job;
  job.name = assignment.job_name;
  job.arn = arn;
  job.request = json::serialize(request);
  job.assignment = json::serialize(to_json(assignment));
  job.tags = tags == nullptr ? "[]" : json::serialize(*tags);
  job.notices = json::serialize(json::to_array(assignment.notices));
  job.credentials = jobs::make_credentials();
  fill_retries(job, request);
  auto created = services.jobs.create(job);
  if (!created && created.error().code == Code::conflict) return name_in_use(arn);
  if (!created) return refuse_json(created.error());
  services.wake_scheduler();
  return json::serialize(json::object{{"TrainingJobArn", arn}});
}

}  // namespace trainyard::api::sagemaker
