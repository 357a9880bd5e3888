// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"

namespace trainyard::cli {

namespace {

std::string text_of(const json::object& object, std::string_view name) {
  return json::find_string(object, name).value_or("");
}

std::string time_of(const json::object& object, std::string_view name) {
  const json::value* value = json::find(object, name);
  if (value == nullptr || !value->is_number()) return "-";
  double seconds = value->to_number<double>();
  std::string text =
      format_iso8601(from_epoch_ms(static_cast<int64_t>(std::round(seconds * 1000))));
  return text.substr(0, 19) + "Z";
}

}  // namespace

Result<int> list_jobs(Service& service, const ListOptions& options) {
  json::object request{{"MaxResults", std::clamp<int64_t>(options.limit, 1, 100)},
                       {"SortBy", "CreationTime"},
                       {"SortOrder", "Descending"}};
  if (!options.name_contains.empty()) request["NameContains"] = options.name_contains;
  if (!options.status.empty()) request["StatusEquals"] = options.status;
  auto answer = TRY(service.call("sagemaker", "SageMaker.ListTrainingJobs", request));
  const json::array* jobs = json::find_array(answer, "TrainingJobSummaries");
  if (options.as_json) {
    fmt::print("{}\n", json::serialize(answer));
    return 0;
  }
  if (jobs == nullptr || jobs->empty()) {
    fmt::print("no training jobs\n");
    return 0;
  }
  fmt::print("{:<40} {:<12} {:<20} {}\n", "NAME", "STATUS", "PHASE", "CREATED");
  for (const json::value& value : *jobs) {
    const json::object& job = value.get_object();
    fmt::print("{:<40} {:<12} {:<20} {}\n", text_of(job, "TrainingJobName"),
               text_of(job, "TrainingJobStatus"), text_of(job, "SecondaryStatus"),
               time_of(job, "CreationTime"));
  }
  return 0;
}

Result<int> describe_job(Service& service, const std::string& name, bool as_json) {
  auto job =
      TRY(service.call("sagemaker", "SageMaker.DescribeTrainingJob", {{"TrainingJobName", name}}));
  if (as_json) {
    fmt::print("{}\n", json::serialize(job));
    return 0;
  }
  fmt::print("name      {}\narn       {}\nstatus    {}\n", name, text_of(job, "TrainingJobArn"),
             text_of(job, "TrainingJobStatus"));
  if (auto reason = json::find_string(job, "FailureReason")) {
    fmt::print("reason    {}\n", replace_all(*reason, "\n", "\n          "));
  }
  if (const json::object* artifacts = json::find_object(job, "ModelArtifacts")) {
    if (auto model = json::find_string(*artifacts, "S3ModelArtifacts")) {
      fmt::print("model     {}\n", *model);
    }
  }
  fmt::print("created   {}\nended     {}\n", time_of(job, "CreationTime"),
             time_of(job, "TrainingEndTime"));
  if (auto seconds = json::find_integer(job, "TrainingTimeInSeconds")) {
    fmt::print("seconds   {}\n", *seconds);
  }
  if (const json::array* metrics = json::find_array(job, "FinalMetricDataList")) {
    for (const json::value& metric : *metrics) {
      fmt::print("metric    {} = {}\n", text_of(metric.get_object(), "MetricName"),
                 json::serialize(*json::find(metric.get_object(), "Value")));
    }
  }
  auto more = TRY(service.call("sagemaker", "Trainyard.DescribeTrainingJobNotices",
                               {{"TrainingJobName", name}}));
  if (auto attempt = json::find_integer(more, "Attempt"); attempt.value_or(1) > 1) {
    fmt::print("attempt   {}\n", *attempt);
  }
  std::string diagnosis = text_of(more, "Diagnosis");
  if (!diagnosis.empty()) {
    fmt::print("why       {}\n", replace_all(diagnosis, "\n", "\n          "));
  }
  for (const std::string& notice :
       json::find_texts(more, "Notices").value_or(std::vector<std::string>())) {
    fmt::print("note      {}\n", notice);
  }
  fmt::print("phases\n");
  if (const json::array* steps = json::find_array(job, "SecondaryStatusTransitions")) {
    for (const json::value& value : *steps) {
      const json::object& step = value.get_object();
      fmt::print("  {}  {:<12} {}\n", time_of(step, "StartTime"), text_of(step, "Status"),
                 text_of(step, "StatusMessage"));
    }
  }
  return 0;
}

Result<int> stop_job(Service& service, const std::string& name) {
  TRY(service.call("sagemaker", "SageMaker.StopTrainingJob", {{"TrainingJobName", name}}));
  fmt::print(
      "stopping {}: its script gets SIGTERM and time to end; what is in /opt/ml/model is kept\n",
      name);
  return 0;
}

Result<int> interrupt_job(Service& service, const std::string& name) {
  TRY(service.call("sagemaker", "Trainyard.InterruptTrainingJob", {{"TrainingJobName", name}}));
  fmt::print(
      "interrupting {}: its script gets SIGTERM and time to end, checkpoints go to S3, and the "
      "next "
      "attempt begins\n",
      name);
  return 0;
}

Result<int> print_environment(const Access& access, bool as_json) {
  if (as_json) {
    fmt::print("{}\n",
               json::serialize(json::object{{"endpoint", access.endpoint},
                                            {"region", access.region},
                                            {"access_key", access.credentials.access_key},
                                            {"secret_key", access.credentials.secret_key}}));
    return 0;
  }
  const std::string& token = access.credentials.session_token;
  fmt::print(
      "export AWS_ENDPOINT_URL={}\nexport AWS_REGION={}\nexport AWS_DEFAULT_REGION={}\n"
      "export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n{}"
      "export AWS_EC2_METADATA_DISABLED=true\nunset {}AWS_PROFILE AWS_DEFAULT_PROFILE\n",
      access.endpoint, access.region, access.region, access.credentials.access_key,
      access.credentials.secret_key,
      token.empty() ? "" : fmt::format("export AWS_SESSION_TOKEN={}\n", token),
      token.empty() ? "AWS_SESSION_TOKEN " : "");
  return 0;
}

}  // namespace trainyard::cli
