// SPDX-License-Identifier: Apache-2.0
#include "api/dispatch.hpp"

#include <array>
#include <map>

#include "api/iam/get_role.hpp"
#include "api/iam/simulate_principal_policy.hpp"
#include "api/logs/actions.hpp"
#include "api/model/api_model.hpp"
#include "api/monitoring/actions.hpp"
#include "api/monitoring/wire.hpp"
#include "api/reports.hpp"
#include "api/s3/route.hpp"
#include "api/sagemaker/actions.hpp"
#include "api/sts/get_caller_identity.hpp"
#include "aws/cbor.hpp"
#include "base/random.hpp"

namespace trainyard::api {

namespace {

constexpr size_t kMaxApiBody = 4 << 20;

struct JsonAction {
  std::string_view target;  // X-Amz-Target
  // The request fits the operation's shape.
  JsonReply (*run)(const Services&, const json::object&);
  bool is_open_to_jobs;  // with a job's own key
};

constexpr std::array kJsonActions = {
    JsonAction{"SageMaker.CreateTrainingJob", sagemaker::create_training_job, false},
    JsonAction{"SageMaker.DescribeTrainingJob", sagemaker::describe_training_job, true},
    JsonAction{"SageMaker.ListTrainingJobs", sagemaker::list_training_jobs, true},
    JsonAction{"SageMaker.StopTrainingJob", sagemaker::stop_training_job, false},
    JsonAction{"SageMaker.UpdateTrainingJob", sagemaker::update_training_job, false},
    JsonAction{"SageMaker.DeleteTrainingJob", sagemaker::delete_training_job, false},
    JsonAction{"SageMaker.Search", sagemaker::search, true},
    JsonAction{"SageMaker.AddTags", sagemaker::add_tags, false},
    JsonAction{"SageMaker.ListTags", sagemaker::list_tags, true},
    JsonAction{"SageMaker.DeleteTags", sagemaker::delete_tags, false},
    JsonAction{"Trainyard.InterruptTrainingJob", sagemaker::interrupt_training_job, false},
    JsonAction{"Trainyard.DescribeTrainingJobNotices", sagemaker::describe_notices, false},
    JsonAction{"Logs_20140328.DescribeLogGroups", logs::describe_log_groups, true},
    JsonAction{"Logs_20140328.DescribeLogStreams", logs::describe_log_streams, true},
    JsonAction{"Logs_20140328.GetLogEvents", logs::get_log_events, true},
    JsonAction{"Logs_20140328.FilterLogEvents", logs::filter_log_events, true},
    JsonAction{"GraniteServiceVersion20100801.GetMetricStatistics",
               monitoring::get_metric_statistics, true},
    JsonAction{"GraniteServiceVersion20100801.GetMetricData", monitoring::get_metric_data, true},
    JsonAction{"GraniteServiceVersion20100801.ListMetrics", monitoring::list_metrics, true},
    JsonAction{"SageMakerMetrics.BatchPutMetrics", sagemaker::batch_put_metrics, true},
};

const JsonAction* find_action(std::string_view target) {
  for (const JsonAction& candidate : kJsonActions) {
    if (candidate.target == target) return &candidate;
  }
  return nullptr;
}

std::string_view operation_of(std::string_view target) {
  return target.substr(target.find('.') + 1);
}

constexpr std::string_view kMonitoring = "GraniteServiceVersion20100801";

// "/service/GraniteServiceVersion20100801/operation/GetMetricData" as a target.
std::string target_of_path(std::string_view path) {
  constexpr std::string_view kService = "/service/";
  constexpr std::string_view kOperation = "/operation/";
  size_t middle = path.find(kOperation);
  if (!path.starts_with(kService) || middle == std::string_view::npos) return "";
  return fmt::format("{}.{}", path.substr(kService.size(), middle - kService.size()),
                     path.substr(middle + kOperation.size()));
}

// The rest-json operations of sagemaker-metrics have a path each.
constexpr std::string_view kBatchPutMetrics = "/BatchPutMetrics";

// Before the signature is checked only the headers can tell how to answer.
aws::Dialect dialect_of(const http::Request& request) {
  if (request.headers.get("smithy-protocol") == "rpc-v2-cbor") return aws::Dialect::cbor;
  if (request.headers.find("X-Amz-Target")) return aws::Dialect::json;
  if (request.method == "POST" && request.path == "/" &&
      request.headers.get("Content-Type").starts_with("application/x-www-form-urlencoded")) {
    return aws::Dialect::query;
  }
  return aws::Dialect::s3;
}

std::map<std::string, std::string> parse_form(std::string form) {
  http::Request as_query;
  as_query.query = std::move(form);
  auto parameters = as_query.query_parameters();
  if (!parameters) return {};
  return {parameters->begin(), parameters->end()};
}

}  // namespace

http::Response Dispatcher::handle(http::Request& request) const {
  if (request.path == protocol::kReportPath) return take_report(services_, request);
  std::string request_id = random_hex(16);
  auto find = [&](std::string_view key) { return find_credentials(key); };
  auto verified = aws::verify(request, find, services_.clock.now());
  if (const auto* fault = std::get_if<aws::Fault>(&verified)) {
    return aws::to_response(*fault, dialect_of(request), request.path, request_id);
  }
  return answer(request, std::get<aws::Verified>(verified), request_id);
}

std::optional<aws::Credentials> Dispatcher::find_credentials(std::string_view access_key) const {
  const aws::Credentials& own = services_.account.credentials;
  if (access_key == own.access_key) return own;
  auto job = services_.jobs.find_credentials(std::string(access_key));
  if (!job || !*job) return std::nullopt;
  return aws::Credentials{(*job)->access_key, (*job)->secret_key, (*job)->session_token};
}

http::Response Dispatcher::answer(const http::Request& request, aws::Verified& verified,
                                  const std::string& request_id) const {
  const std::string& service = verified.signature.service;
  bool is_job = verified.signature.access_key != services_.account.credentials.access_key;
  switch (dialect_of(request)) {
    case aws::Dialect::json:
      return answer_json(request, *verified.body, is_job, request_id);
    case aws::Dialect::query:
      return answer_query(service, *verified.body, verified, request_id);
    case aws::Dialect::cbor:
      return answer_cbor(request, *verified.body, is_job, request_id);
    case aws::Dialect::s3:
      break;
  }
  if (service == "s3") {
    return s3::handle(request, *verified.body, services_.objects, services_.account.region,
                      request_id);
  }
  if (service == "sagemaker" && request.method == "PUT" && request.path == kBatchPutMetrics) {
    return answer_json(request, *verified.body, is_job, request_id);
  }
  return aws::to_response(
      {"UnknownOperationException", fmt::format("service '{}' is not supported", service)},
      aws::Dialect::json, request.path, request_id);
}

JsonReply Dispatcher::run(std::string_view target, const json::object& document,
                          bool is_job) const {
  const JsonAction* action = find_action(target);
  if (action == nullptr) {
    return refuse_json("UnknownOperationException", fmt::format("{} is not supported", target));
  }
  if (is_job && !action->is_open_to_jobs) {
    return refuse_json(
        "AccessDeniedException",
        fmt::format("A training job's own key is not authorized to perform: {}", target));
  }
  if (auto fault = check(document, input_of(operation_of(target)))) return tl::unexpected(*fault);
  return action->run(services_, document);
}

http::Response Dispatcher::answer_json(const http::Request& request, http::Body& body, bool is_job,
                                       const std::string& request_id) const {
  auto refuse = [&](const aws::Fault& fault) {
    return aws::to_response(fault, aws::Dialect::json, request.path, request_id);
  };
  std::string target(request.headers.get("X-Amz-Target"));
  if (request.path == kBatchPutMetrics) target = "SageMakerMetrics.BatchPutMetrics";
  auto text = http::read_all(body, kMaxApiBody);
  if (!text) return refuse(aws::to_fault(text.error(), aws::Dialect::json));
  // What we do not have is said first, whatever the body holds.
  auto document = find_action(target) == nullptr ? Result<json::object>(json::object())
                                                 : json::parse_object(text->empty() ? "{}" : *text);
  if (!document) return refuse({"SerializationException", document.error().message});
  auto reply = run(target, *document, is_job);
  if (!reply) return refuse(reply.error());
  std::string type =
      target.starts_with(kMonitoring) ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1";
  return {200, {{"Content-Type", type}, {"x-amzn-RequestId", request_id}}, *std::move(reply)};
}

http::Response Dispatcher::answer_cbor(const http::Request& request, http::Body& body, bool is_job,
                                       const std::string& request_id) const {
  auto refuse = [&](const aws::Fault& fault) {
    return aws::to_response(fault, aws::Dialect::cbor, request.path, request_id);
  };
  auto bytes = http::read_all(body, kMaxApiBody);
  if (!bytes) return refuse(aws::to_fault(bytes.error(), aws::Dialect::cbor));
  auto document = bytes->empty() ? Result<json::value>(json::object()) : aws::parse_cbor(*bytes);
  if (!document) return refuse({"SerializationException", document.error().message});
  if (!document->is_object()) return refuse({"SerializationException", "a map is expected"});
  auto reply = run(target_of_path(request.path), document->get_object(), is_job);
  if (!reply) return refuse(reply.error());
  auto answer = json::parse(reply->empty() ? "{}" : *reply);
  if (!answer) return refuse(aws::to_fault(answer.error(), aws::Dialect::cbor));
  return {200,
          {{"Content-Type", "application/cbor"},
           {"smithy-protocol", "rpc-v2-cbor"},
           {"x-amzn-RequestId", request_id}},
          aws::to_cbor(*answer, monitoring::kTimestamps)};
}

http::Response Dispatcher::answer_query(const std::string& service, http::Body& body,
                                        const aws::Verified& verified,
                                        const std::string& request_id) const {
  auto refuse = [&](const aws::Fault& fault) {
    return aws::to_response(fault, aws::Dialect::query, "/", request_id);
  };
  auto text = http::read_all(body, kMaxApiBody);
  if (!text) return refuse(aws::to_fault(text.error(), aws::Dialect::query));
  auto form = parse_form(std::move(*text));
  const std::string& action = form["Action"];
  bool is_job = verified.signature.access_key != services_.account.credentials.access_key;
  if (service == "sts" && action == "GetCallerIdentity") {
    return sts::get_caller_identity(services_.account, is_job, request_id);
  }
  if (service == "iam" && action == "GetRole") {
    return iam::get_role(services_.account, form["RoleName"], request_id);
  }
  if (service == "iam" && action == "SimulatePrincipalPolicy") {
    return iam::simulate_principal_policy(form, request_id);
  }
  if (service == "monitoring" && find_action(fmt::format("{}.{}", kMonitoring, action))) {
    auto document = monitoring::from_form(form, input_of(action));
    auto reply = run(fmt::format("{}.{}", kMonitoring, action), document, is_job);
    auto answer = reply ? json::parse_object(*reply) : Result<json::object>(json::object());
    if (!reply) return refuse(reply.error());
    if (!answer) return refuse(aws::to_fault(answer.error(), aws::Dialect::query));
    return {200,
            {{"Content-Type", "text/xml"}, {"x-amzn-RequestId", request_id}},
            monitoring::to_xml(action, *answer, request_id)};
  }
  return refuse(
      {"UnknownOperationException", fmt::format("{} '{}' is not supported", service, action)});
}

}  // namespace trainyard::api
