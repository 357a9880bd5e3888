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

// "" where they are not there.
std::string between(std::string_view text, std::string_view open, std::string_view close) {
  size_t begin = text.find(open);
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin + open.size());
  size_t end = text.find(close);
  return end == std::string_view::npos ? "" : std::string(text.substr(0, end));
}

}  // namespace

std::string access_file_name() {
  return "service.json";
}

Result<Access> find_access(const Where& where) {
  std::string endpoint = where.endpoint;
  if (endpoint.empty() && !where.is_data_dir_given) endpoint = variable("AWS_ENDPOINT_URL");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.empty() && !variable("AWS_ACCESS_KEY_ID").empty()) {
    return Access{endpoint,
                  variable("AWS_REGION", variable("AWS_DEFAULT_REGION", "us-west-2")),
                  "",
                  {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                   variable("AWS_SESSION_TOKEN")},
                  ""};
  }
  auto text = read_file(fs::path(where.data_dir) / access_file_name());
  if (!text) {
    return fail(Code::not_found,
                "no service is known here: start one with `trainyard serve`, or set "
                "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({})",
                text.error().message);
  }
  auto document = TRY(json::parse_object(*text));
  Access access;
  access.data_dir = where.data_dir;
  access.endpoint = where.endpoint.empty() ? TRY(json::get_string(document, "endpoint")) : endpoint;
  access.region = TRY(json::get_string(document, "region"));
  access.account_id = TRY(json::get_string(document, "account_id"));
  access.credentials.access_key = TRY(json::get_string(document, "access_key"));
  access.credentials.secret_key = TRY(json::get_string(document, "secret_key"));
  return access;
}

Result<http::Answer> Service::post(const std::string& service, http::Headers headers,
                                   std::string body) {
  http::Call call;
  call.method = "POST";
  call.url = access_.endpoint + "/";
  call.body = std::move(body);
  call.headers = std::move(headers);
  size_t scheme = access_.endpoint.find("://");
  call.headers.set("Host", access_.endpoint.substr(scheme == std::string::npos ? 0 : scheme + 3));
  aws::SigningOptions signing;
  signing.credentials = access_.credentials;
  signing.region = access_.region;
  signing.service = service;
  signing.time = SystemClock().now();
  signing.payload_hash = aws::payload_hash_of(call.body);
  aws::sign("POST", "/", "", call.headers, signing);
  return client_.send(call);
}

Result<json::object> Service::call(const std::string& service, const std::string& target,
                                   const json::object& request) {
  auto answer =
      TRY(post(service, {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", target}},
               json::serialize(request)));
  if (answer.status == 200 && answer.body.empty()) return json::object();
  auto document = TRY(json::parse_object(answer.body));
  if (answer.status == 200) return document;
  std::string code = json::find_string(document, "__type").value_or("Error");
  std::string message = json::find_string(document, "message").value_or("");
  bool is_missing =
      code == "ResourceNotFoundException" || message == "Requested resource not found.";
  return fail(is_missing ? Code::not_found : Code::invalid, "{}: {}", code, message);
}

Result<Caller> Service::caller() {
  auto answer = post("sts", {{"Content-Type", "application/x-www-form-urlencoded"}},
                     "Action=GetCallerIdentity&Version=2011-06-15");
  if (!answer) {
    return Failure(std::move(answer).error().within(fmt::format(
        "no service answers at {}; start one with `trainyard serve`", access_.endpoint)));
  }
  Caller caller;
  caller.account_id = between(answer->body, "<Account>", "</Account>");
  if (answer->status != 200 || caller.account_id.empty()) {
    return fail(Code::denied, "the service at {} says {} {}", access_.endpoint, answer->status,
                between(answer->body, "<Message>", "</Message>"));
  }
  caller.role_arn = fmt::format("arn:aws:iam::{}:role/{}", caller.account_id,
                                between(answer->body, ":assumed-role/", "/"));
  return caller;
}

}  // namespace trainyard::cli
