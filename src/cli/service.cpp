// SPDX-License-Identifier: Apache-2.0
#include "cli/service.hpp"

#include <cstdlib>

#include "base/clock.hpp"

namespace trainyard::cli {

namespace {

std::string variable(const char* name, std::string fallback = "") {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : value;
}

}  // namespace

std::string access_file_name() {
  return "service.json";
}

Result<Access> find_access(const std::string& data_dir) {
  std::string endpoint = variable("AWS_ENDPOINT_URL");
  if (!endpoint.empty() && !variable("AWS_ACCESS_KEY_ID").empty()) {
    return Access{endpoint,
                  variable("AWS_REGION", variable("AWS_DEFAULT_REGION", "us-west-2")),
                  "",
                  {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                   variable("AWS_SESSION_TOKEN")}};
  }
  auto text = read_file(fs::path(data_dir) / access_file_name());
  if (!text) {
    return fail(Code::not_found,
                "no service is known here: start one with `trainyard serve`, or set "
                "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({})",
                text.error().message);
  }
  auto document = TRY(json::parse_object(*text));
  Access access;
  access.endpoint = TRY(json::get_string(document, "endpoint"));
  access.region = TRY(json::get_string(document, "region"));
  access.account_id = TRY(json::get_string(document, "account_id"));
  access.credentials.access_key = TRY(json::get_string(document, "access_key"));
  access.credentials.secret_key = TRY(json::get_string(document, "secret_key"));
  return access;
}

Result<json::object> Service::call(const std::string& service, const std::string& target,
                                   const json::object& request) {
  http::Call call;
  call.method = "POST";
  call.url = access_.endpoint + "/";
  call.body = json::serialize(request);
  call.headers = {{"Host", access_.endpoint.substr(access_.endpoint.find("://") + 3)},
                  {"Content-Type", "application/x-amz-json-1.1"},
                  {"X-Amz-Target", target}};
  aws::SigningOptions signing;
  signing.credentials = access_.credentials;
  signing.region = access_.region;
  signing.service = service;
  signing.time = SystemClock().now();
  signing.payload_hash = aws::payload_hash_of(call.body);
  aws::sign("POST", "/", "", call.headers, signing);
  auto answer = TRY(client_.send(call));
  if (answer.status == 200 && answer.body.empty()) return json::object();
  auto document = TRY(json::parse_object(answer.body));
  if (answer.status == 200) return document;
  std::string code = json::find_string(document, "__type").value_or("Error");
  std::string message = json::find_string(document, "message").value_or("");
  bool is_missing =
      code == "ResourceNotFoundException" || message == "Requested resource not found.";
  return fail(is_missing ? Code::not_found : Code::invalid, "{}: {}", code, message);
}

}  // namespace trainyard::cli
