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
    Account account{"123456789012", "us-west-2", {"KEY", "secret", ""}};
    dispatcher_ = std::make_unique<Dispatcher>(
        Services{account, *objects_, *jobs_, *logs_, clock_, [this] { ++wakes_; }});
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
  EXPECT_TRUE(contains(query("iam", "Action=GetRole&RoleName=R"),
                       "<Arn>arn:aws:iam::123456789012:role/R</Arn>"));
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
        R"("ModelArtifacts":{})", R"("HyperParameters":{"z":"1","a":"2"})"}) {
    EXPECT_TRUE(contains(described, part)) << part << "\n" << described;
  }
  EXPECT_FALSE(contains(described, "TrainingEndTime"));
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

}  // namespace trainyard::api
