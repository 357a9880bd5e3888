// SPDX-License-Identifier: Apache-2.0
#include "api/model/api_model.hpp"
#include "api/sagemaker/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

json::object object_of(const json::object& request, std::string_view name) {
  const json::object* found = json::find_object(request, name);
  return found == nullptr ? json::object() : *found;
}

json::value known_part(const json::value& value, const Shape& shape) {
  if (const json::array* list = value.if_array(); list && shape.element) {
    json::array known;
    for (const json::value& item : *list) known.push_back(known_part(item, *shape.element));
    return known;
  }
  const json::object* object = value.if_object();
  if (object == nullptr || shape.kind != Shape::Kind::structure) return value;
  json::object known;
  for (const auto& [key, part] : *object) {
    const Shape* member = shape.member({key.data(), key.size()});
    if (member != nullptr && !part.is_null()) known[key] = known_part(part, *member);
  }
  return known;
}

void set_default(json::object& object, std::string_view name, const json::value& value) {
  if (json::find(object, name) == nullptr) object[name] = value;
}

// A request may hold members that no shape knows; an answer must not. Those that only
// CreateTrainingJob has go as well.
void keep_known_members(json::object& document) {
  const Shape& shape = input_of("CreateTrainingJob");
  json::object known;
  for (const auto& [key, value] : document) {
    std::string_view name(key.data(), key.size());
    if (name == "SessionChainingConfig") continue;  // AWS does not echo it
    if (const Shape* member = shape.member(name)) known[key] = known_part(value, *member);
  }
  document = std::move(known);
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

// From an interruption to the next Downloading nothing is billed: contract.md M 22.
int64_t seconds_without_instance(const jobs::Job& job) {
  std::chrono::milliseconds total{0};
  bool is_away = false;
  for (const jobs::Transition& step : job.transitions) {
    if (step.phase == Phase::interrupted) is_away = true;
    if (step.phase == Phase::downloading) is_away = false;
    if (is_away && step.end) total += *step.end - step.start;
  }
  return std::chrono::ceil<std::chrono::seconds>(total).count();
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
    document["BillableTimeInSeconds"] = seconds - seconds_without_instance(job);
  }
}

}  // namespace

json::value to_timestamp(Time time) {
  return static_cast<double>(to_epoch_ms(time)) / 1000.0;
}

tl::unexpected<aws::Fault> refuse_job(const Error& error) {
  if (error.code == Code::not_found) {
    return refuse_json("ValidationException", "Requested resource not found.");
  }
  return refuse_json(error);
}

Result<json::array> final_metrics(const Services& services, const jobs::Job& job) {
  json::array list;
  // A name may have been used before: only what this job measured counts.
  auto values = TRY(services.metrics.final_values({"TrainingJobName", job.name}, job.created));
  for (const metrics::FinalValue& value : values) {
    list.push_back(json::object{{"MetricName", value.name},
                                {"Value", value.value},
                                {"Timestamp", to_timestamp(value.time)}});
  }
  return list;
}

Result<json::object> describe(const Services& services, const jobs::Job& job) {
  auto document = TRY(json::parse_object(job.request));
  document.erase("Tags");
  keep_known_members(document);
  add_defaults(document);
  document["TrainingJobArn"] = job.arn;
  document["TrainingJobStatus"] = api_name(status_of(job));
  document["SecondaryStatus"] = api_name(job.phase);
  document["SecondaryStatusTransitions"] = transitions_of(job);
  if (!job.failure_reason.empty()) document["FailureReason"] = job.failure_reason;
  add_times(document, job);
  auto metrics = TRY(final_metrics(services, job));
  if (!metrics.empty()) document["FinalMetricDataList"] = std::move(metrics);

  auto output = object_of(document, "OutputDataConfig");
  std::string path = json::find_string(output, "S3OutputPath").value_or("");
  while (path.ends_with('/')) path.pop_back();
  bool is_compressed = json::find_string(output, "CompressionType") != "NONE";
  // Absent until there are some: SageMaker's SDK v3 refuses an empty object.
  if (job.has_artifacts) {
    document["ModelArtifacts"] =
        json::object{{"S3ModelArtifacts", fmt::format("{}/{}/output/{}", path, job.name,
                                                      is_compressed ? "model.tar.gz" : "model/")}};
  }
  return document;
}

JsonReply describe_training_job(const Services& services, const json::object& request) {
  auto job = services.jobs.find(*json::find_string(request, "TrainingJobName"));
  if (!job) return refuse_job(job.error());
  auto document = describe(services, *job);
  if (!document) return refuse_json(document.error());
  return json::serialize(*document);
}

}  // namespace trainyard::api::sagemaker
