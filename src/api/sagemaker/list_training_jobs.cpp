// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/sagemaker/actions.hpp"

namespace trainyard::api::sagemaker {

namespace {

std::optional<Time> find_time(const json::object& request, std::string_view name) {
  const json::value* value = json::find(request, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  double seconds = value->to_number<double>();
  return from_epoch_ms(static_cast<int64_t>(std::clamp(seconds, 0.0, 1e12) * 1000.0));
}

jobs::SortBy sort_by(const std::string& word) {
  if (word == "Name") return jobs::SortBy::name;
  return word == "Status" ? jobs::SortBy::status : jobs::SortBy::created;
}

json::object summary(const jobs::Job& job, const boost::json::storage_ptr& memory) {
  json::object entry({{"TrainingJobName", job.name},
                      {"TrainingJobArn", job.arn},
                      {"CreationTime", to_timestamp(job.created)},
                      {"LastModifiedTime", to_timestamp(job.modified)},
                      {"TrainingJobStatus", api_name(status_of(job))},
                      {"SecondaryStatus", api_name(job.phase)}},
                     7, memory);
  if (job.training_end) entry["TrainingEndTime"] = to_timestamp(*job.training_end);
  return entry;
}

}  // namespace

JsonReply list_training_jobs(const Services& services, const json::object& request) {
  jobs::JobQuery query;
  query.name_contains = json::find_string(request, "NameContains").value_or("");
  query.status = parse_job_status(json::find_string(request, "StatusEquals").value_or(""));
  query.created_after = find_time(request, "CreationTimeAfter");
  query.created_before = find_time(request, "CreationTimeBefore");
  query.modified_after = find_time(request, "LastModifiedTimeAfter");
  query.modified_before = find_time(request, "LastModifiedTimeBefore");
  query.sort_by = sort_by(json::find_string(request, "SortBy").value_or(""));
  query.is_descending = json::find_string(request, "SortOrder") == "Descending";
  query.limit = static_cast<size_t>(json::find_integer(request, "MaxResults").value_or(10));
  query.token = json::find_string(request, "NextToken").value_or("");
  query.training_plan_arn = json::find_string(request, "TrainingPlanArnEquals").value_or("");
  // There are no warm pools: no job is in any state of one.
  if (json::find(request, "WarmPoolStatusEquals") != nullptr) {
    return R"({"TrainingJobSummaries":[]})";
  }
  auto page = services.jobs.list(query);
  if (!page) return refuse_json(page.error());
  // A thousand small values that live and go together.
  boost::json::monotonic_resource memory(32 << 10);
  json::array summaries(&memory);
  summaries.reserve(page->jobs.size());
  for (const jobs::Job& job : page->jobs) summaries.push_back(summary(job, &memory));
  json::object document(&memory);
  document["TrainingJobSummaries"] = std::move(summaries);
  if (!page->next_token.empty()) document["NextToken"] = page->next_token;
  return json::serialize(document);
}

}  // namespace trainyard::api::sagemaker
