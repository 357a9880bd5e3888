// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/notices.hpp"

#include <algorithm>
#include <array>

#include "api/model/api_model.hpp"
#include "api/sagemaker/create_request.hpp"
#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

constexpr size_t kMaxNotices = 100;

struct Notice {
  std::string_view member;  // its path; it counts when it is there and neither false, 0 nor empty
  std::string_view effect;
};

constexpr std::array kNotices = {
    Notice{"VpcConfig", "the job runs in the network of its host"},
    Notice{"InputDataConfig.DataSource.S3DataSource.ModelAccessConfig", "there are no model hubs"},
    Notice{"InputDataConfig.DataSource.S3DataSource.HubAccessConfig", "there are no model hubs"},
    Notice{"OutputDataConfig.KmsKeyId", "objects are not encrypted by this service"},
    Notice{"ResourceConfig.VolumeKmsKeyId", "disks are not encrypted by this service"},
    Notice{"ResourceConfig.KeepAlivePeriodInSeconds",
           "there are no warm pools; environments stay built between jobs anyway"},
    Notice{"ResourceConfig.TrainingPlanArn", "capacity is this service's own"},
    Notice{"ResourceConfig.InstancePlacementConfig", "the job runs where this service runs it"},
    Notice{"StoppingCondition.MaxPendingTimeInSeconds", "a job waits for capacity without limit"},
    Notice{"EnableInterContainerTrafficEncryption",
           "what instances of a job send each other is not encrypted"},
    Notice{"AlgorithmSpecification.TrainingImageConfig",
           "images stand for managed environments; no registry is asked"},
    Notice{"DebugHookConfig.CollectionConfigurations", "no tensors are collected"},
    Notice{"DebugHookConfig.HookParameters", "no tensors are collected"},
    Notice{"DebugRuleConfigurations", "no rules are evaluated"},
    Notice{"ProfilerRuleConfigurations", "no rules are evaluated"},
    Notice{"ProfilerConfig.ProfilingParameters", "nothing is profiled"},
    Notice{"TensorBoardOutputConfig", "TensorBoard data is not uploaded while the job runs"},
    Notice{"ExperimentConfig", "there are no experiments; the job is not recorded in one"},
    Notice{"RemoteDebugConfig.EnableRemoteDebug", "there is no remote shell into the job"},
    Notice{"InfraCheckConfig.EnableInfraCheck", "the host is not checked before the start"},
    Notice{"SessionChainingConfig.EnableSessionTagChaining", "there are no session tags"},
    Notice{"MlflowConfig", "nothing is sent to MLflow by this service"},
    Notice{"ModelPackageConfig", "no model package is made"},
};

// Of a list the first item that has the path.
const json::value* find_path(const json::value& document, std::string_view path) {
  if (path.empty()) return &document;
  if (const json::array* list = document.if_array()) {
    for (const json::value& item : *list) {
      if (const json::value* found = find_path(item, path)) return found;
    }
    return nullptr;
  }
  size_t dot = std::min(path.find('.'), path.size());
  const json::object* object = document.if_object();
  const json::value* member =
      object == nullptr ? nullptr : json::find(*object, path.substr(0, dot));
  return member == nullptr ? nullptr
                           : find_path(*member, path.substr(std::min(dot + 1, path.size())));
}

bool asks_for_something(const json::value& value) {
  if (const bool* flag = value.if_bool()) return *flag;
  if (const int64_t* number = value.if_int64()) return *number != 0;
  if (const json::array* list = value.if_array()) return !list->empty();
  if (const json::object* object = value.if_object()) return !object->empty();
  return !value.is_string() || !value.get_string().empty();
}

// Members that nobody knows: a newer client's, or a misspelling.
void add_unknown(const json::value& value, const Shape& shape, const std::string& path,
                 std::vector<std::string>& notices) {
  if (const json::array* list = value.if_array(); list != nullptr && shape.element != nullptr) {
    for (const json::value& item : *list) add_unknown(item, *shape.element, path, notices);
    return;
  }
  const json::object* object = value.if_object();
  if (object == nullptr || shape.kind != Shape::Kind::structure) return;
  for (const auto& [key, part] : *object) {
    std::string name(key.data(), key.size());
    std::string part_path = path.empty() ? name : path + "." + name;
    const Shape* member = shape.member(name);
    if (member != nullptr) {
      add_unknown(part, *member, part_path, notices);
    } else if (notices.size() < kMaxNotices) {
      notices.push_back(
          fmt::format("{} has no effect here: it is not known", cut_middle(part_path, 128)));
    }
  }
}

}  // namespace

std::vector<std::string> notices_of(const json::object& request) {
  std::vector<std::string> notices;
  const json::value document(request);
  for (const Notice& notice : kNotices) {
    const json::value* value = find_path(document, notice.member);
    if (value == nullptr || !asks_for_something(*value)) continue;
    notices.push_back(fmt::format("{} has no effect here: {}", notice.member, notice.effect));
  }
  for (const metrics::Definition& metric : metric_definitions(request)) {
    auto fault = metrics::fault_in(metric.regex);
    if (!fault) continue;
    notices.push_back(fmt::format("Metric '{}' will have no values: regular expression '{}': {}",
                                  metric.name, metric.regex, *fault));
  }
  add_unknown(request, input_of("CreateTrainingJob"), "", notices);
  return notices;
}

}  // namespace trainyard::api::sagemaker
