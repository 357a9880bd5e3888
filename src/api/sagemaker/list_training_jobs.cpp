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

void append_time(std::string& text, std::string_view name, Time time) {
  int64_t ms = to_epoch_ms(time);
  fmt::format_to(std::back_inserter(text), R"(,"{}":{}.{:03})", name, ms / 1000, ms % 1000);
}

// Written as text: a tree of a thousand values costs more than reading the jobs.
void append_summary(std::string& text, const jobs::ListedJob& job) {
  text += R"({"TrainingJobName":)";
  text += json::serialize(json::string(job.name));
  text += R"(,"TrainingJobArn":)";
  text += json::serialize(json::string(job.arn));
  append_time(text, "CreationTime", job.created);
  if (job.training_end) append_time(text, "TrainingEndTime", *job.training_end);
  append_time(text, "LastModifiedTime", job.modified);
  text += R"(,"TrainingJobStatus":")";
  text += api_name(job.status);
  text += R"(","SecondaryStatus":")";
  text += api_name(job.phase);
  text += R"("})";
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
  std::string text = R"({"TrainingJobSummaries":[)";
  text.reserve(page->jobs.size() * 400 + 200);
  for (const jobs::ListedJob& job : page->jobs) {
    if (&job != &page->jobs.front()) text += ',';
    append_summary(text, job);
  }
  text += ']';
  if (!page->next_token.empty()) text += R"(,"NextToken":")" + page->next_token + '"';  // base64
  text += '}';
  return text;
}

}  // namespace trainyard::api::sagemaker
