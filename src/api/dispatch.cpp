// SPDX-License-Identifier: Apache-2.0
#include "api/dispatch.hpp"

#include <array>
#include <map>

#include "api/iam/get_role.hpp"
#include "api/logs/actions.hpp"
#include "api/model/api_model.hpp"
#include "api/reports.hpp"
#include "api/s3/route.hpp"
#include "api/sagemaker/actions.hpp"
#include "api/sts/get_caller_identity.hpp"
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
    JsonAction{"Logs_20140328.DescribeLogGroups", logs::describe_log_groups, true},
    JsonAction{"Logs_20140328.DescribeLogStreams", logs::describe_log_streams, true},
    JsonAction{"Logs_20140328.GetLogEvents", logs::get_log_events, true},
    JsonAction{"Logs_20140328.FilterLogEvents", logs::filter_log_events, true},
};

// Before the signature is checked only the headers can tell how to answer.
aws::Dialect dialect_of(const http::Request& request) {
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
    case aws::Dialect::s3:
      break;
  }
  if (service == "s3") {
    return s3::handle(request, *verified.body, services_.objects, services_.account.region,
                      request_id);
  }
  return aws::to_response(
      {"UnknownOperationException", fmt::format("service '{}' is not supported", service)},
      aws::Dialect::json, request.path, request_id);
}

http::Response Dispatcher::answer_json(const http::Request& request, http::Body& body, bool is_job,
                                       const std::string& request_id) const {
  auto refuse = [&](const aws::Fault& fault) {
    return aws::to_response(fault, aws::Dialect::json, request.path, request_id);
  };
  std::string_view target = request.headers.get("X-Amz-Target");
  const JsonAction* action = nullptr;
  for (const JsonAction& candidate : kJsonActions) {
    if (candidate.target == target) action = &candidate;
  }
  if (action == nullptr) {
    return refuse({"UnknownOperationException", fmt::format("{} is not supported", target)});
  }
  if (is_job && !action->is_open_to_jobs) {
    return refuse(
        {"AccessDeniedException",
         fmt::format("A training job's own key is not authorized to perform: {}", target)});
  }
  auto text = http::read_all(body, kMaxApiBody);
  if (!text) return refuse(aws::to_fault(text.error(), aws::Dialect::json));
  auto document = json::parse_object(text->empty() ? "{}" : *text);
  if (!document) return refuse({"SerializationException", document.error().message});
  if (auto fault = check(*document, input_of(target.substr(target.find('.') + 1)))) {
    return refuse(*fault);
  }
  auto reply = action->run(services_, *document);
  if (!reply) return refuse(reply.error());
  return {200,
          {{"Content-Type", "application/x-amz-json-1.1"}, {"x-amzn-RequestId", request_id}},
          *std::move(reply)};
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
  if (service == "sts" && action == "GetCallerIdentity") {
    return sts::get_caller_identity(services_.account.id, verified.signature.access_key,
                                    request_id);
  }
  if (service == "iam" && action == "GetRole") {
    return iam::get_role(services_.account, form["RoleName"], request_id);
  }
  return refuse(
      {"UnknownOperationException", fmt::format("{} '{}' is not supported", service, action)});
}

}  // namespace trainyard::api
