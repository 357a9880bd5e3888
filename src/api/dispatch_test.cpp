// SPDX-License-Identifier: Apache-2.0
#include "api/dispatch.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace trainyard::api {

namespace {

struct Call {
  std::string service;
  http::Headers headers;
  std::string body;
};

std::string answer_to(Call call, std::string_view secret_key = "secret") {
  FakeClock clock;
  fs::path folder = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  auto store = objects::ObjectStore::open(folder, clock).value();
  Dispatcher dispatcher({"123456789012", "us-west-2", {"KEY", "secret", ""}}, *store, clock);
  aws::SigningOptions signing;
  signing.credentials = {"KEY", std::string(secret_key), ""};
  signing.region = "us-west-2";
  signing.service = call.service;
  signing.time = clock.now();
  signing.payload_hash = aws::payload_hash_of(call.body);
  http::TextBody body(call.body);
  http::Request request;
  request.method = "POST";
  request.path = "/";
  request.headers = call.headers;
  request.headers.set("Host", "h");
  request.body = &body;
  aws::sign(request.method, request.path, request.query, request.headers, signing);
  http::Response response = dispatcher.handle(request);
  store.reset();
  static_cast<void>(remove_tree(folder));
  return fmt::format("{} {}", response.status, std::get<std::string>(response.body));
}

const http::Headers kForm{{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
const http::Headers kList{{"X-Amz-Target", "SageMaker.ListTrainingJobs"}};

}  // namespace

TEST(Dispatch, sts_says_whose_the_account_is) {
  std::string answer = answer_to({"sts", kForm, "Action=GetCallerIdentity&Version=2011-06-15"});
  EXPECT_TRUE(answer.starts_with("200 ")) << answer;
  EXPECT_NE(answer.find("<Account>123456789012</Account>"), std::string::npos);
}

TEST(Dispatch, what_is_not_there_is_a_4xx_that_names_it) {
  EXPECT_EQ(answer_to({"sagemaker", kList, "{}"}),
            R"(400 {"__type":"UnknownOperationException",)"
            R"("message":"SageMaker.ListTrainingJobs is not supported"})");
  EXPECT_TRUE(answer_to({"sts", kForm, "Action=GetSessionToken"}).starts_with("400 <ErrorResponse>"));
  EXPECT_TRUE(answer_to({"sts", kForm, "Action=%zz"}).starts_with("400 "));
  EXPECT_TRUE(answer_to({"s3", {}, ""}).starts_with("405 <?xml"));
}

TEST(Dispatch, a_wrong_secret_is_refused_in_the_callers_dialect) {
  EXPECT_NE(answer_to({"sagemaker", kList, "{}"}, "other").find("\"InvalidSignatureException\""),
            std::string::npos);
  EXPECT_TRUE(answer_to({"s3", {}, ""}, "other").starts_with("403 <?xml"));
}

}  // namespace trainyard::api
