// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/sagemaker/actions.hpp"
#include "api/sagemaker/shape.hpp"

namespace trainyard::api::sagemaker {

namespace {

const Shape& request_shape() {
  static const Shape kShape = structure({
      {"NextToken", text(0, 8192)},
      {"MaxResults", integer(1, 100)},
      {"CreationTimeAfter", anything()},
      {"CreationTimeBefore", anything()},
      {"LastModifiedTimeAfter", anything()},
      {"LastModifiedTimeBefore", anything()},
      {"NameContains", text(0, 63).matching("[a-zA-Z0-9\\-]+")},
      {"StatusEquals",
       one_of({"InProgress", "Completed", "Failed", "Stopping", "Stopped", "Deleting"})},
      {"SortBy", one_of({"Name", "CreationTime", "Status"})},
      {"SortOrder", one_of({"Ascending", "Descending"})},
  });
  return kShape;
}

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

json::object summary(const jobs::Job& job) {
  json::object entry{{"TrainingJobName", job.name},
                     {"TrainingJobArn", job.arn},
                     {"CreationTime", to_timestamp(job.created)},
                     {"LastModifiedTime", to_timestamp(job.modified)},
                     {"TrainingJobStatus", api_name(status_of(job.phase))},
                     {"SecondaryStatus", api_name(job.phase)}};
  if (job.training_end) entry["TrainingEndTime"] = to_timestamp(*job.training_end);
  return entry;
}

}  // namespace

JsonReply list_training_jobs(const Services& services, const json::object& request) {
  if (auto fault = check(request, request_shape())) return tl::unexpected(*fault);
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
  auto page = services.jobs.list(query);
  if (!page) return refuse_json(page.error());
  json::array summaries;
  for (const jobs::Job& job : page->jobs) summaries.push_back(summary(job));
  json::object document{{"TrainingJobSummaries", std::move(summaries)}};
  if (!page->next_token.empty()) document["NextToken"] = page->next_token;
  return json::serialize(document);
}

}  // namespace trainyard::api::sagemaker
