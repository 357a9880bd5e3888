// SPDX-License-Identifier: Apache-2.0
#include "protocol/assignment.hpp"

#include <gtest/gtest.h>

namespace trainyard::protocol {

namespace {

Assignment full() {
  Assignment a;
  a.job_name = "digits-1";
  a.job_arn = "arn:aws:sagemaker:us-west-2:123456789012:training-job/digits-1";
  a.image = "tensorflow:2.19";
  a.entrypoint = {"/bin/bash"};
  a.arguments = {"-c", "true"};
  a.hyperparameters = {{"z", "1"}, {"a", "\"two\""}};
  a.environment = {{"X", "ü"}};
  a.channels = {{"train", "s3://b/p", S3DataType::manifest, Distribution::sharded_by_key,
                 InputMode::fast_file, "text/csv", true, true, 7}};
  a.output_s3_uri = "s3://b/out";
  a.checkpoint = CheckpointTarget{"s3://b/c", "/opt/ml/checkpoints"};
  a.server = {"http://127.0.0.1:1", "us-west-2", "K", "S", "T", "R"};
  a.host_settings.cpu_limit = 1.5;
  return a;
}

}  // namespace

TEST(Assignment, survives_the_way_through_json) {
  json::object document = to_json(full());
  auto back = parse_assignment(document);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(json::serialize(to_json(*back)), json::serialize(document));
  EXPECT_EQ(back->hyperparameters, full().hyperparameters);
  EXPECT_EQ(back->channels[0].shuffle_seed, 7);
  EXPECT_EQ(back->host_settings.cpu_limit, 1.5);
}

TEST(Assignment, a_missing_member_is_named) {
  json::object whole = to_json(full());
  for (const auto& member : whole) {
    if (member.key() == "checkpoint" || member.key() == "notices") continue;
    json::object document = whole;
    document.erase(member.key());
    auto parsed = parse_assignment(document);
    ASSERT_FALSE(parsed) << member.key();
    EXPECT_NE(parsed.error().message.find(std::string(member.key())), std::string::npos);
  }
}

TEST(Assignment, one_that_an_older_program_stored_is_read) {
  json::object document = to_json(full());
  document.erase("notices");
  EXPECT_TRUE(parse_assignment(document));
}

}  // namespace trainyard::protocol
