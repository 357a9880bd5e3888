// SPDX-License-Identifier: Apache-2.0
#include "api/dispatch.hpp"

#include "api/s3/route.hpp"
#include "api/sts/get_caller_identity.hpp"
#include "base/random.hpp"

namespace trainyard::api {

namespace {

constexpr size_t kMaxApiBody = 4 << 20;

// Before the signature is checked only the headers can tell how to answer.
aws::Dialect dialect_of(const http::Request& request) {
  if (request.headers.find("X-Amz-Target")) return aws::Dialect::json;
  if (request.method == "POST" && request.path == "/" &&
      request.headers.get("Content-Type").starts_with("application/x-www-form-urlencoded")) {
    return aws::Dialect::query;
  }
  return aws::Dialect::s3;
}

// "Action" of a query-protocol body.
std::string action_of(std::string form) {
  http::Request as_query;
  as_query.query = std::move(form);
  auto parameters = as_query.query_parameters();
  if (!parameters) return "";
  for (const auto& [name, value] : *parameters) {
    if (name == "Action") return value;
  }
  return "";
}

}  // namespace

http::Response Dispatcher::handle(http::Request& request) const {
  std::string request_id = random_hex(16);
  auto find = [&](std::string_view key) -> std::optional<aws::Credentials> {
    if (key != account_.credentials.access_key) return std::nullopt;
    return account_.credentials;
  };
  auto verified = aws::verify(request, find, clock_.now());
  if (const auto* fault = std::get_if<aws::Fault>(&verified)) {
    return aws::to_response(*fault, dialect_of(request), request.path, request_id);
  }
  return answer(request, std::get<aws::Verified>(verified), request_id);
}

http::Response Dispatcher::answer(const http::Request& request, aws::Verified& verified,
                                  const std::string& request_id) const {
  aws::Dialect dialect = dialect_of(request);
  auto refuse = [&](const aws::Fault& fault) {
    return aws::to_response(fault, dialect, request.path, request_id);
  };
  if (dialect == aws::Dialect::json) {
    return refuse({"UnknownOperationException",
                   fmt::format("{} is not supported", request.headers.get("X-Amz-Target"))});
  }
  if (dialect == aws::Dialect::s3) {
    if (verified.signature.service == "s3") {
      return s3::handle(request, *verified.body, store_, account_.region, request_id);
    }
    return refuse({"InvalidRequest", fmt::format("service '{}' is not supported",
                                                 verified.signature.service)});
  }
  auto form = http::read_all(*verified.body, kMaxApiBody);
  if (!form) return refuse(aws::to_fault(form.error(), dialect));
  std::string action = action_of(*form);
  if (verified.signature.service == "sts" && action == "GetCallerIdentity") {
    return sts::get_caller_identity(account_.id, account_.credentials.access_key, request_id);
  }
  return refuse({"UnknownOperationException", fmt::format("{} '{}' is not supported",
                                                          verified.signature.service, action)});
}

}  // namespace trainyard::api
