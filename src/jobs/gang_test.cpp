// SPDX-License-Identifier: Apache-2.0
#include "jobs/gang.hpp"

#include <gtest/gtest.h>

namespace trainyard::jobs {

using protocol::EventKind;
using protocol::Outcome;

Members at(Stage first, Stage second) {
  return {{"algo-1", first, std::nullopt, false}, {"algo-2", second, std::nullopt, false}};
}

Members ended(Outcome first, Outcome second) {
  return {{"algo-1", Stage::finished, first, true}, {"algo-2", Stage::finished, second, false}};
}

TEST(Gang, scripts_start_when_all_are_ready) {
  EXPECT_FALSE(may_proceed(at(Stage::ready, Stage::downloading), "algo-1"));
  EXPECT_TRUE(may_proceed(at(Stage::ready, Stage::ready), "algo-1"));
  EXPECT_TRUE(may_proceed(at(Stage::training, Stage::ready), "algo-2"));
  EXPECT_FALSE(may_proceed(at(Stage::training, Stage::training), "algo-2"));
  EXPECT_FALSE(may_proceed(at(Stage::ready, Stage::ready), "algo-3"));
}

TEST(Gang, the_leader_uploads_after_the_others_have_finished) {
  EXPECT_FALSE(may_proceed(at(Stage::uploading, Stage::uploading), "algo-1"));
  EXPECT_TRUE(may_proceed(at(Stage::uploading, Stage::finished), "algo-1"));
  EXPECT_FALSE(may_proceed(at(Stage::finished, Stage::uploading), "algo-2"));
}

TEST(Gang, a_job_uploads_and_ends_with_its_last_instance) {
  EXPECT_EQ(job_event(at(Stage::training, Stage::uploading), EventKind::uploading), std::nullopt);
  EXPECT_EQ(job_event(at(Stage::uploading, Stage::finished), EventKind::uploading),
            JobEvent::uploading);
  EXPECT_EQ(job_event(at(Stage::uploading, Stage::finished), EventKind::finished), std::nullopt);
  EXPECT_EQ(job_event(ended(Outcome::completed, Outcome::completed), EventKind::finished),
            JobEvent::completed);
}

TEST(Gang, the_worst_end_is_the_jobs) {
  EXPECT_EQ(job_event(ended(Outcome::stopped, Outcome::failed), EventKind::finished),
            JobEvent::failed);
  EXPECT_EQ(job_event(ended(Outcome::stopped, Outcome::max_runtime_exceeded), EventKind::finished),
            JobEvent::max_runtime_exceeded);
  EXPECT_EQ(job_event(ended(Outcome::interrupted, Outcome::completed), EventKind::finished),
            JobEvent::interrupted);
  EXPECT_EQ(job_event(ended(Outcome::completed, Outcome::stopped), EventKind::finished),
            JobEvent::stopped);
}

TEST(Gang, one_instance_is_its_own_leader_and_is_not_named) {
  Members one = {{"algo-1", Stage::uploading, std::nullopt, false}};
  EXPECT_EQ(job_event(one, EventKind::uploading), JobEvent::uploading);
  EXPECT_TRUE(may_proceed(one, "algo-1"));
  EXPECT_EQ(name_host(one, "algo-1", "AlgorithmError: x"), "AlgorithmError: x");
}

TEST(Gang, a_reason_names_its_host_behind_what_clients_match_and_within_the_limit) {
  Members two = at(Stage::training, Stage::training);
  EXPECT_EQ(name_host(two, "algo-2", "AlgorithmError: , exit code: 3"),
            "AlgorithmError: , exit code: 3 (algo-2 was the first of 2 instances to fail)");
  std::string longest = name_host(two, "algo-2", "AlgorithmError: " + std::string(2000, 'x'));
  EXPECT_EQ(longest.size(), 1024u);
  EXPECT_TRUE(longest.ends_with("to fail)"));
}

TEST(Gang, stages_have_names_for_storage) {
  for (Stage stage : {Stage::none, Stage::preparing, Stage::ready, Stage::finished}) {
    EXPECT_EQ(parse_stage(name(stage)), stage);
  }
  EXPECT_EQ(parse_stage("gone"), Stage::none);
}

}  // namespace trainyard::jobs
