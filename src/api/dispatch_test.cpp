// SPDX-License-Identifier: Apache-2.0
#include "api/dispatch.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace trainyard::api {

// A whole service without its scheduler.
class DispatchTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    objects_ = objects::ObjectStore::open(folder_, clock_).value();
    jobs_ = jobs::JobStore::open(folder_ / "server.db", clock_).value();
    logs_ = trainyard::logs::LogStore::open(folder_ / "logs.db", clock_).value();
    metrics_ = trainyard::metrics::MetricStore::open(folder_ / "metrics.db", clock_).value();
    Account account{"123456789012", "us-west-2", {"KEY", "secret", ""}};
    dispatcher_ = std::make_unique<Dispatcher>(Services{account, *objects_, *jobs_, *logs_,
                                                        *metrics_, clock_, [this] { ++wakes_; },
                                                        [](const S3Uri&) { return std::nullopt; }});
  }
  void TearDown() override {
    objects_.reset();
    static_cast<void>(remove_tree(folder_));
  }

  std::string call(std::string service, http::Headers headers, std::string text,
                   std::string secret_key = "secret") {
    aws::SigningOptions signing;
    signing.credentials = {"KEY", std::move(secret_key), ""};
    signing.region = "us-west-2";
    signing.service = std::move(service);
    signing.time = clock_.now();
    signing.payload_hash = aws::payload_hash_of(text);
    http::TextBody body(std::move(text));
    http::Request request;
    request.method = "POST";
    request.path = "/";
    request.headers = std::move(headers);
    request.headers.set("Host", "h");
    request.body = &body;
    aws::sign(request.method, request.path, request.query, request.headers, signing);
    http::Response response = dispatcher_->handle(request);
    return fmt::format("{} {}", response.status, std::get<std::string>(response.body));
  }
  std::string sagemaker(const std::string& action, std::string text) {
    return call("sagemaker", {{"X-Amz-Target", "SageMaker." + action}}, std::move(text));
  }
  std::string query(std::string service, std::string form) {
    return call(std::move(service),
                {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
                std::move(form));
  }
  void put_object(const std::string& key) {
    static_cast<void>(objects_->create_bucket("bkt"));
    http::TextBody body("data");
    ASSERT_TRUE(objects_->put("bkt", key, body, {}));
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  std::unique_ptr<objects::ObjectStore> objects_;
  std::unique_ptr<jobs::JobStore> jobs_;
  std::unique_ptr<trainyard::logs::LogStore> logs_;
  std::unique_ptr<trainyard::metrics::MetricStore> metrics_;
  std::unique_ptr<Dispatcher> dispatcher_;
  int wakes_ = 0;
};

namespace {

std::string create_request(std::string_view name, std::string_view uri = "s3://bkt/train") {
  return fmt::format(
      R"({{"TrainingJobName":"{}","RoleArn":"arn:aws:iam::123456789012:role/R",)"
      R"("AlgorithmSpecification":{{"TrainingImage":"tensorflow:2.19",)"
      R"("TrainingInputMode":"File"}},)"
      R"("OutputDataConfig":{{"S3OutputPath":"s3://bkt/out"}},)"
      R"("ResourceConfig":{{"InstanceType":"ml.m5.large","InstanceCount":1,"VolumeSizeInGB":1}},)"
      R"("StoppingCondition":{{}},"HyperParameters":{{"z":"1","a":"2"}},)"
      R"("InputDataConfig":[{{"ChannelName":"train","DataSource":{{"S3DataSource":)"
      R"({{"S3DataType":"S3Prefix","S3Uri":"{}"}}}}}}]}})",
      name, uri);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_F(DispatchTest, sts_and_iam_answer) {
  EXPECT_TRUE(contains(query("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
                       "<Account>123456789012</Account>"));
  EXPECT_TRUE(contains(query("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
                       "arn:aws:sts::123456789012:assumed-role/TrainyardExecutionRole/trainyard"));
  EXPECT_TRUE(contains(query("iam", "Action=GetRole&RoleName=R"),
                       "<Arn>arn:aws:iam::123456789012:role/R</Arn>"));
  std::string allowed = query("iam",
                              "Action=SimulatePrincipalPolicy&PolicySourceArn=r&"
                              "ActionNames.member.1=s3%3AGetObject&ActionNames.member.2=a%3Ab");
  EXPECT_TRUE(contains(allowed, "<EvalActionName>a:b</EvalActionName>")) << allowed;
  EXPECT_TRUE(contains(allowed, "<EvalDecision>allowed</EvalDecision>")) << allowed;
}

TEST_F(DispatchTest, what_is_not_there_is_a_4xx_that_names_it) {
  EXPECT_EQ(sagemaker("CreateModel", "{}"),
            R"(400 {"__type":"UnknownOperationException",)"
            R"("message":"SageMaker.CreateModel is not supported"})");
  EXPECT_TRUE(query("sts", "Action=GetSessionToken").starts_with("400 <ErrorResponse>"));
  EXPECT_TRUE(query("sts", "Action=%zz").starts_with("400 "));
  EXPECT_TRUE(call("s3", {}, "").starts_with("405 <?xml"));
  EXPECT_TRUE(sagemaker("ListTrainingJobs", "{").starts_with("400 {\"__type\":\"Serialization"));
}

TEST_F(DispatchTest, a_wrong_secret_is_refused_in_the_callers_dialect) {
  EXPECT_TRUE(
      contains(call("sagemaker", {{"X-Amz-Target", "SageMaker.ListTrainingJobs"}}, "{}", "x"),
               "\"InvalidSignatureException\""));
  EXPECT_TRUE(call("s3", {}, "", "x").starts_with("403 <?xml"));
}

TEST_F(DispatchTest, a_created_job_is_described_with_the_defaults) {
  put_object("train/a");
  EXPECT_EQ(
      sagemaker("CreateTrainingJob", create_request("j-1")),
      "200 {\"TrainingJobArn\":\"arn:aws:sagemaker:us-west-2:123456789012:training-job/j-1\"}");
  EXPECT_EQ(wakes_, 1);
  EXPECT_TRUE(contains(sagemaker("CreateTrainingJob", create_request("j-1")), "ResourceInUse"));
  std::string described = sagemaker("DescribeTrainingJob", R"({"TrainingJobName":"j-1"})");
  for (std::string_view part :
       {R"("KmsKeyId":"")", R"("CompressionType":"GZIP")", R"("RecordWrapperType":"None")",
        R"("MaxRuntimeInSeconds":86400)", R"("TrainingJobStatus":"InProgress")",
        R"("SecondaryStatus":"Starting")", R"("StatusMessage":"Starting the training job")",
        R"("HyperParameters":{"z":"1","a":"2"})"}) {
    EXPECT_TRUE(contains(described, part)) << part << "\n" << described;
  }
  EXPECT_FALSE(contains(described, "TrainingEndTime") || contains(described, "ModelArtifacts"));
  EXPECT_TRUE(contains(sagemaker("DescribeTrainingJob", R"({"TrainingJobName":"none"})"),
                       R"("message":"Requested resource not found.")"));
}

TEST_F(DispatchTest, all_violations_come_in_one_message_in_aws_words) {
  EXPECT_TRUE(
      contains(sagemaker("CreateTrainingJob", "{}"),
               "6 validation errors detected: Value null at 'trainingJobName' failed to satisfy "
               "constraint: Member must not be null; Value null at 'algorithmSpecification'"));
  EXPECT_TRUE(contains(
      sagemaker("CreateTrainingJob", create_request("bad_name")),
      "1 validation error detected: Value 'bad_name' at 'trainingJobName' failed to satisfy "
      "constraint: Member must satisfy regular expression pattern: "
      "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"));
  EXPECT_TRUE(contains(sagemaker("CreateTrainingJob", R"({"TrainingJobName":7})"),
                       "SerializationException"));
  EXPECT_TRUE(contains(sagemaker("CreateTrainingJob", create_request(std::string(100'000, 'x'))),
                       "Member must have length less than or equal to 63"));
}

TEST_F(DispatchTest, a_local_path_is_refused_with_the_way_out) {
  for (std::string_view path : {"/home/me/data", "file:///home/me", "C:\\\\data", "./data"}) {
    std::string answer = sagemaker("CreateTrainingJob", create_request("j", path));
    EXPECT_TRUE(contains(answer, "inputDataConfig.1.member.dataSource.s3DataSource.s3Uri")) << path;
    EXPECT_TRUE(contains(answer, "aws s3 cp --recursive")) << answer;
  }
}

TEST_F(DispatchTest, a_prefix_without_objects_is_refused) {
  EXPECT_TRUE(contains(sagemaker("CreateTrainingJob", create_request("j", "s3://none/x")),
                       "No S3 objects found under S3 URL \\\"s3://none/x\\\""));
  put_object("train/a");
  EXPECT_TRUE(contains(sagemaker("CreateTrainingJob", create_request("j", "s3://bkt/other")),
                       "No S3 objects found"));
}

TEST_F(DispatchTest, stop_and_list) {
  put_object("train/a");
  sagemaker("CreateTrainingJob", create_request("j-1"));
  EXPECT_TRUE(contains(sagemaker("ListTrainingJobs", R"({"NameContains":"j"})"), "j-1"));
  EXPECT_EQ(sagemaker("StopTrainingJob", R"({"TrainingJobName":"j-1"})"), "200 ");
  EXPECT_EQ(sagemaker("StopTrainingJob", R"({"TrainingJobName":"j-1"})"), "200 ");
  ASSERT_TRUE(jobs_->apply("j-1", JobEvent::stopped));
  EXPECT_TRUE(contains(sagemaker("StopTrainingJob", R"({"TrainingJobName":"j-1"})"),
                       "The request was rejected because the training job is in status Stopped"));
  EXPECT_TRUE(
      contains(sagemaker("ListTrainingJobs", R"({"MaxResults":0})"), "greater than or equal to 1"));
}

TEST_F(DispatchTest, elements_and_map_values_are_refused_as_aws_does) {
  std::string request = create_request("j");
  std::string with_vpc = request;
  with_vpc.insert(1, R"("VpcConfig":{"SecurityGroupIds":["sg!"],"Subnets":[]},)");
  std::string answer = sagemaker("CreateTrainingJob", with_vpc);
  EXPECT_TRUE(contains(
      answer,
      "Value '[sg!]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: Member must "
      "satisfy constraint: [Member must have length less than or equal to 32, Member must have "
      "length greater than or equal to 0, Member must satisfy regular expression pattern: "
      "[-0-9a-zA-Z]+]"))
      << answer;
  EXPECT_TRUE(contains(answer, "2 validation errors detected"));
  std::string with_environment = request;
  with_environment.insert(1, R"("Environment":{"A B":"1"},)");
  answer = sagemaker("CreateTrainingJob", with_environment);
  EXPECT_TRUE(contains(answer,
                       "Value '{A B=1}' at 'environment' failed to satisfy constraint: Map keys "
                       "must satisfy constraint: [Member must have length less than or equal to "
                       "512, "))
      << answer;
}

TEST_F(DispatchTest, what_has_no_effect_is_noted_and_what_nobody_knows_is_not_echoed) {
  put_object("train/a");
  std::string request = create_request("j-1");
  request.insert(1, R"("VpcConfig":{"SecurityGroupIds":["sg-1"],"Subnets":["s-1"],"New":1},)"
                    R"("ProfilerConfig":{"DisableProfiler":true},"Surprise":{},)");
  ASSERT_TRUE(sagemaker("CreateTrainingJob", request).starts_with("200"));
  EXPECT_EQ(jobs_->find("j-1")->notices,
            R"(["VpcConfig has no effect here: the job runs in the network of its host",)"
            R"("VpcConfig.New has no effect here: it is not known",)"
            R"("Surprise has no effect here: it is not known"])");
  std::string described = sagemaker("DescribeTrainingJob", R"({"TrainingJobName":"j-1"})");
  EXPECT_TRUE(contains(described, R"("Subnets":["s-1"])")) << described;
  EXPECT_FALSE(contains(described, "Surprise") || contains(described, "New")) << described;
}

TEST_F(DispatchTest, tags_are_added_replaced_listed_and_deleted) {
  put_object("train/a");
  sagemaker("CreateTrainingJob", create_request("j-1"));
  auto tags = [&](const std::string& action, const std::string& rest) {
    return sagemaker(
        action, R"({"ResourceArn":"arn:aws:sagemaker:us-west-2:123456789012:training-job/J-1")" +
                    rest + "}");
  };
  EXPECT_EQ(tags("AddTags", R"(,"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":""}])"),
            R"(200 {"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":""}]})");
  EXPECT_EQ(tags("AddTags", R"(,"Tags":[{"Key":"a","Value":"2"}])"),
            R"(200 {"Tags":[{"Key":"b","Value":""},{"Key":"a","Value":"2"}]})");
  EXPECT_EQ(tags("DeleteTags", R"(,"TagKeys":["b","none"])"), "200 {}");
  EXPECT_EQ(tags("ListTags", ""), R"(200 {"Tags":[{"Key":"a","Value":"2"}]})");
  EXPECT_TRUE(contains(tags("AddTags", R"(,"Tags":[{"Key":"aws:x","Value":""}])"), "reserved"));
  std::string many;
  for (int i = 0; i < 50; ++i) many += fmt::format(R"(,{{"Key":"k{}","Value":""}})", i);
  EXPECT_TRUE(
      contains(tags("AddTags", R"(,"Tags":[)" + many.substr(1) + "]"), "ResourceLimitExceeded"));
  EXPECT_TRUE(contains(
      sagemaker("ListTags",
                R"({"ResourceArn":"arn:aws:sagemaker:us-west-2:123456789012:training-job/x"})"),
      "Resource does not exist"));
}

TEST_F(DispatchTest, update_changes_what_may_change_and_delete_frees_the_name) {
  put_object("train/a");
  sagemaker("CreateTrainingJob", create_request("j-1"));
  std::string update =
      R"({"TrainingJobName":"j-1","ResourceConfig":{"KeepAlivePeriodInSeconds":60}})";
  EXPECT_TRUE(contains(sagemaker("UpdateTrainingJob", update), "training-job/j-1"));
  std::string described = sagemaker("DescribeTrainingJob", R"({"TrainingJobName":"j-1"})");
  EXPECT_TRUE(contains(described, R"("KeepAlivePeriodInSeconds":60)"));
  EXPECT_TRUE(contains(described, R"("InstanceType":"ml.m5.large")"));
  EXPECT_TRUE(contains(sagemaker("UpdateTrainingJob", R"({"TrainingJobName":"j-1",)"
                                                      R"("RemoteDebugConfig":{}})"),
                       "is in status Starting"));
  std::string name = R"({"TrainingJobName":"j-1"})";
  EXPECT_TRUE(contains(sagemaker("DeleteTrainingJob", name), "ResourceInUse"));
  ASSERT_TRUE(jobs_->apply("j-1", JobEvent::failed));
  EXPECT_EQ(sagemaker("DeleteTrainingJob", name), "200 ");
  EXPECT_TRUE(contains(sagemaker("DeleteTrainingJob", name), "Requested resource not found."));
  EXPECT_TRUE(sagemaker("CreateTrainingJob", create_request("j-1")).starts_with("200"));
}

TEST_F(DispatchTest, search_filters_sorts_and_pages) {
  put_object("train/a");
  for (int i = 1; i <= 5; ++i) {
    clock_.advance(std::chrono::seconds(1));
    std::string request = create_request(fmt::format("j-{}", i));
    request.insert(1, fmt::format(R"("Tags":[{{"Key":"team","Value":"t{}"}}],)", i % 2));
    ASSERT_TRUE(sagemaker("CreateTrainingJob", request).starts_with("200"));
  }
  ASSERT_TRUE(jobs_->apply("j-3", JobEvent::failed));
  auto names = [&](const std::string& expression) {
    std::string token, found;
    do {
      std::string answer = sagemaker(
          "Search", R"({"Resource":"TrainingJob","MaxResults":2,"SortBy":"TrainingJobName",)"
                    R"("SortOrder":"Ascending",)" +
                        (token.empty() ? "" : R"("NextToken":")" + token + R"(",)") +
                        R"("SearchExpression":)" + expression + "}");
      EXPECT_TRUE(answer.starts_with("200")) << answer;
      auto document = json::parse_object(answer.substr(4)).value();
      for (const json::value& result : *json::find_array(document, "Results")) {
        found += *json::find_string(*json::find_object(result.get_object(), "TrainingJob"),
                                    "TrainingJobName") +
                 " ";
      }
      token = json::find_string(document, "NextToken").value_or("");
      found += token.empty() ? "" : "| ";
    } while (!token.empty());
    return found;
  };
  auto filter = [](std::string_view name, std::string_view word, std::string_view value) {
    return fmt::format(R"({{"Name":"{}","Operator":"{}","Value":"{}"}})", name, word, value);
  };
  auto one = [&](auto... parts) { return R"({"Filters":[)" + filter(parts...) + "]}"; };
  EXPECT_EQ(names("{}"), "j-1 j-2 | j-3 j-4 | j-5 ");
  EXPECT_EQ(names(one("Tags.team", "Equals", "t1")), "j-1 j-3 | j-5 ");
  EXPECT_EQ(names(one("TrainingJobStatus", "NotEquals", "InProgress")), "j-3 ");
  EXPECT_EQ(names(one("TrainingJobName", "In", "j-1, j-4")), "j-1 j-4 ");
  EXPECT_EQ(names(one("TrainingJobName", "Contains", "-5")), "j-5 ");
  EXPECT_EQ(names(one("HyperParameters.z", "GreaterThan", "0.5")), "j-1 j-2 | j-3 j-4 | j-5 ");
  EXPECT_EQ(names(one("FailureReason", "Exists", "x")), "");
  EXPECT_EQ(names(one("CreationTime", "LessThan", "2023-11-14T22:13:22")), "j-1 ");
  EXPECT_EQ(names(R"({"Operator":"Or","Filters":[)" + filter("TrainingJobName", "Equals", "j-1") +
                  "," + filter("TrainingJobName", "Equals", "j-2") + "]}"),
            "j-1 j-2 ");
  EXPECT_EQ(names(R"({"NestedFilters":[{"NestedPropertyName":"InputDataConfig","Filters":[)" +
                  filter("InputDataConfig.ChannelName", "Equals", "train") + "]}]}"),
            "j-1 j-2 | j-3 j-4 | j-5 ");
  EXPECT_TRUE(contains(sagemaker("Search", R"({"Resource":"TrainingJob","SearchExpression":)"
                                           R"({"Filters":[)" +
                                               filter("A", "Contains", "x") + "," +
                                               filter("B", "Contains", "x") + "]}}"),
                       "'CONTAINS' operator usage limit of 1 exceeded."));
  EXPECT_TRUE(contains(sagemaker("Search", R"({"Resource":"Endpoint"})"), "not supported"));
  EXPECT_TRUE(contains(sagemaker("Search", R"({"Resource":"TrainingJob","NextToken":"x"})"),
                       "ValidationException"));
}

}  // namespace trainyard::api
