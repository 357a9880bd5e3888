// SPDX-License-Identifier: Apache-2.0
#include "protocol/assignment.hpp"

#include <gtest/gtest.h>

namespace trainyard::protocol {

namespace {

Assignment full() {
  Assignment a;
  a.job_name = "digits-1";
  a.job_arn = "arn:aws:sagemaker:us-west-2:123456789012:training-job/digits-1";
  a.instance_groups = {{"workers", "ml.m5.large", {"algo-1"}}, {"others", "ml.c5.large", {}}};
  a.image = "tensorflow:2.19";
  a.entrypoint = {"/bin/bash"};
  a.arguments = {"-c", "true"};
  a.hyperparameters = {{"z", "1"}, {"a", "\"two\""}};
  a.environment = {{"X", "ü"}};
  a.channels = {{"train",
                 "s3://b/p",
                 S3DataType::manifest,
                 Distribution::sharded_by_key,
                 InputMode::fast_file,
                 "text/csv",
                 true,
                 true,
                 7,
                 {"image-ref", "class"},
                 {"workers"}}};
  a.output_s3_uri = "s3://b/out";
  a.checkpoint = CheckpointTarget{"s3://b/c", "/opt/ml/checkpoints"};
  a.server = {"http://127.0.0.1:1", "us-west-2", "K", "S", "T", "R", {}};
  a.server.remotes.push_back(
      {"aws", {"data", "team-*"}, "https://s3.x", "eu-west-1", "A", "B", "C", false, "/ca.pem"});
  a.host_settings.network_dir = "/jobs/a/1/network";
  a.host_settings.cpu_limit = 1.5;
  a.host_settings.record_policy = RecordPolicy::skip_object;
  a.host_settings.container = {"unix:///s", "/tls", "id", "net", 1 << 30, "all"};
  a.engine = "docker";
  a.record_policy = RecordPolicy::fail;
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
  EXPECT_EQ(back->host_settings.container.network, "net");
  EXPECT_EQ(back->engine, "docker");
}

TEST(Assignment, a_host_has_the_type_of_its_group) {
  EXPECT_EQ(instance_type_of(full()), "ml.m5.large");
  Assignment plain = full();
  plain.instance_groups.clear();
  plain.instance_type = "ml.p3.2xlarge";
  EXPECT_EQ(instance_type_of(plain), "ml.p3.2xlarge");
  EXPECT_EQ(groups_of(plain).at(0).hosts, plain.hosts);
}

TEST(Assignment, channels_of_other_groups_are_left_out) {
  Assignment made = full();
  made.channels.resize(3);
  made.channels[1].instance_groups = {"others"};
  made.channels[2].name = "all";
  keep_channels_of_host(made);
  ASSERT_EQ(made.channels.size(), 2u);
  EXPECT_EQ(made.channels[0].name, "train");
  EXPECT_EQ(made.channels[1].name, "all");
}

TEST(Assignment, a_missing_member_is_named) {
  json::object whole = to_json(full());
  for (const auto& member : whole) {
    if (member.key() == "checkpoint" || member.key() == "notices") continue;
    if (member.key() == "instance_groups" || member.key() == "record_policy") continue;
    if (member.key() == "is_sharded_by_bytes" || member.key() == "resources") continue;
    if (member.key() == "is_sharded_by_bytes" || member.key() == "engine") continue;
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
  document.erase("instance_groups");
  auto parsed = parse_assignment(document);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(groups_of(*parsed).at(0).name, "homogeneousCluster");
}

}  // namespace trainyard::protocol
