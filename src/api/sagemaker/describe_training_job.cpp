// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/actions.hpp"
#include "api/sagemaker/shape.hpp"
#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

const Shape& request_shape() {
  static const Shape kShape = structure({{"TrainingJobName", text(1, 63), kRequired}});
  return kShape;
}

json::object object_of(const json::object& request, std::string_view name) {
  const json::object* found = json::find_object(request, name);
  return found == nullptr ? json::object() : *found;
}

void set_default(json::object& object, std::string_view name, const json::value& value) {
  if (json::find(object, name) == nullptr) object[name] = value;
}

// The defaults that AWS echoes: contract.md C.1.
void add_defaults(json::object& document) {
  json::object output = object_of(document, "OutputDataConfig");
  set_default(output, "KmsKeyId", "");
  set_default(output, "CompressionType", "GZIP");
  document["OutputDataConfig"] = std::move(output);
  json::object stopping = object_of(document, "StoppingCondition");
  set_default(stopping, "MaxRuntimeInSeconds", 86400);
  document["StoppingCondition"] = std::move(stopping);
  for (const char* name : {"EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
                           "EnableManagedSpotTraining"}) {
    set_default(document, name, false);
  }
  if (json::value* channels = document.if_contains("InputDataConfig"); channels != nullptr) {
    for (json::value& channel : channels->get_array()) {
      set_default(channel.get_object(), "CompressionType", "None");
      set_default(channel.get_object(), "RecordWrapperType", "None");
    }
  }
}

json::array transitions_of(const jobs::Job& job) {
  json::array list;
  for (const jobs::Transition& step : job.transitions) {
    json::object entry{{"Status", api_name(step.phase)},
                       {"StartTime", to_timestamp(step.start)},
                       {"StatusMessage", step.message}};
    if (step.end) entry["EndTime"] = to_timestamp(*step.end);
    list.push_back(std::move(entry));
  }
  return list;
}

void add_times(json::object& document, const jobs::Job& job) {
  document["CreationTime"] = to_timestamp(job.created);
  document["LastModifiedTime"] = to_timestamp(job.modified);
  if (job.training_start) document["TrainingStartTime"] = to_timestamp(*job.training_start);
  if (job.training_end) document["TrainingEndTime"] = to_timestamp(*job.training_end);
  if (job.training_start && job.training_end) {
    auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(*job.training_end - *job.training_start)
            .count();
    document["TrainingTimeInSeconds"] = seconds;
    document["BillableTimeInSeconds"] = seconds;
  }
}

}  // namespace

json::value to_timestamp(Time time) {
  return static_cast<double>(to_epoch_ms(time)) / 1000.0;
}

JsonReply describe_training_job(const Services& services, const json::object& request) {
  if (auto fault = check(request, request_shape())) return tl::unexpected(*fault);
  auto job = services.jobs.find(*json::find_string(request, "TrainingJobName"));
  if (!job && job.error().code == Code::not_found) {
    return refuse_json("ValidationException", "Requested resource not found.");
  }
  if (!job) return refuse_json(job.error());
  auto document = json::parse_object(job->request);
  if (!document) return refuse_json(document.error());
  document->erase("Tags");
  add_defaults(*document);
  (*document)["TrainingJobArn"] = job->arn;
  (*document)["TrainingJobStatus"] = api_name(status_of(job->phase));
  (*document)["SecondaryStatus"] = api_name(job->phase);
  (*document)["SecondaryStatusTransitions"] = transitions_of(*job);
  if (!job->failure_reason.empty()) (*document)["FailureReason"] = job->failure_reason;
  add_times(*document, *job);

  auto output = object_of(*document, "OutputDataConfig");
  std::string path = json::find_string(output, "S3OutputPath").value_or("");
  while (path.ends_with('/')) path.pop_back();
  bool is_compressed = json::find_string(output, "CompressionType") != "NONE";
  json::object artifacts;
  if (job->has_artifacts) {
    artifacts["S3ModelArtifacts"] =
        fmt::format("{}/{}/output/{}", path, job->name, is_compressed ? "model.tar.gz" : "model/");
  }
  (*document)["ModelArtifacts"] = std::move(artifacts);
  return json::serialize(*document);
}

}  // namespace trainyard::api::sagemaker
