// SPDX-License-Identifier: Apache-2.0
// UpdateTrainingJob and DeleteTrainingJob.
#include <array>

#include "api/sagemaker/actions.hpp"

namespace trainyard::api::sagemaker {

namespace {

// contract.md C.4: remote debugging changes only while the instance is there.
std::optional<aws::Fault> check_update(const jobs::Job& job, const json::object& request) {
  auto rejected = [&] {
    return aws::Fault{"ValidationException",
                      fmt::format("The request was rejected because the training job is in "
                                  "status {}",
                                  api_name(job.phase))};
  };
  bool is_about_the_run = json::find(request, "ProfilerConfig") != nullptr ||
                          json::find(request, "ProfilerRuleConfigurations") != nullptr;
  if (is_about_the_run && is_terminal(job.phase)) return rejected();
  bool is_up = job.phase == Phase::downloading || job.phase == Phase::training;
  if (json::find(request, "RemoteDebugConfig") != nullptr && !is_up) return rejected();
  return std::nullopt;
}

// Members that are given replace those of the job; the rest stays.
void merge(json::object& into, const json::object& update) {
  for (const auto& [key, value] : update) {
    json::value& target = into[key];
    if (value.is_object() && target.is_object()) {
      merge(target.get_object(), value.get_object());
    } else {
      target = value;
    }
  }
}

}  // namespace

JsonReply update_training_job(const Services& services, const json::object& request) {
  constexpr std::array<std::string_view, 4> kChangeable = {
      "ProfilerConfig", "ProfilerRuleConfigurations", "ResourceConfig", "RemoteDebugConfig"};
  std::string name = *json::find_string(request, "TrainingJobName");
  std::string arn;
  std::optional<aws::Fault> fault;
  auto changed = services.jobs.change(name, [&](jobs::Job& job) -> Result<> {
    arn = job.arn;
    fault = check_update(job, request);
    if (fault) return fail(Code::invalid, "{}", fault->message);
    auto document = TRY(json::parse_object(job.request));
    for (std::string_view key : kChangeable) {
      const json::value* value = json::find(request, key);
      if (value != nullptr) merge(document, json::object{{key, *value}});
    }
    job.request = json::serialize(document);
    return {};
  });
  if (fault) return tl::unexpected(*fault);
  if (!changed) return refuse_job(changed.error());
  return json::serialize(json::object{{"TrainingJobArn", arn}});
}

JsonReply delete_training_job(const Services& services, const json::object& request) {
  auto removed = services.jobs.remove(*json::find_string(request, "TrainingJobName"));
  if (!removed && removed.error().code == Code::conflict) {
    return refuse_json(
        "ResourceInUse",
        fmt::format("The request was rejected because {}. Stop it first", removed.error().message));
  }
  if (!removed) return refuse_job(removed.error());
  services.wake_scheduler();
  return "";
}

}  // namespace trainyard::api::sagemaker
