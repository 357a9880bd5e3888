// SPDX-License-Identifier: Apache-2.0
#include "scheduler/placement.hpp"

#include <gtest/gtest.h>

namespace trainyard::scheduler {

constexpr int64_t kGib = int64_t{1} << 30;
const Time kNow = from_epoch_ms(1'795'000'000'000);

Capacity host() {
  return {100, 8.0, 32 * kGib, 2};
}
Waiting job(const std::string& name, double vcpus, std::chrono::minutes waited = {}) {
  return {name, {vcpus, kGib, 0}, kNow - waited};
}
std::string started(const std::vector<Choice>& choices) {
  std::string names;
  for (const Choice& choice : choices) {
    if (choice.reason.empty()) names += choice.job;
  }
  return names;
}

TEST(Placement, jobs_start_oldest_first_while_there_is_room) {
  auto choices = choose(host(), {job("a", 4), job("b", 4), job("c", 4)}, {}, kNow);
  EXPECT_EQ(started(choices), "ab");
  EXPECT_EQ(choices[2].reason,
            "Waiting for capacity: it needs 4 vCPUs, 1 GiB, which others use now");
}

TEST(Placement, a_number_of_jobs_is_a_limit_of_its_own) {
  auto choices = choose({1, {}, {}, 0}, {job("a", 400), job("b", 1)}, {}, kNow);
  EXPECT_EQ(started(choices), "a");
  EXPECT_NE(choices[1].reason.find("max-running-jobs"), std::string::npos);
}

TEST(Placement, a_job_that_is_larger_than_the_host_gets_all_of_it) {
  EXPECT_EQ(started(choose(host(), {job("a", 64)}, {}, kNow)), "a");
  EXPECT_EQ(started(choose(host(), {job("a", 64)}, {{1, 0, 0}}, kNow)), "");
}

TEST(Placement, what_fits_passes_a_job_that_does_not_until_that_has_waited_long) {
  std::vector<Resources> running = {{4, kGib, 0}};
  EXPECT_EQ(started(choose(host(), {job("a", 8), job("b", 2)}, running, kNow)), "b");
  auto choices = choose(host(), {job("a", 8, kPatience), job("b", 2)}, running, kNow);
  EXPECT_EQ(started(choices), "");
  EXPECT_EQ(choices[1].reason, "Waiting for capacity: a is older");
}

TEST(Placement, no_stream_of_small_jobs_starves_a_big_one) {
  // Every minute a small job ends and another one comes; the big one needs the whole host.
  std::vector<Resources> running(8, Resources{1, kGib, 0});
  Waiting big = job("big", 8);
  bool has_started = false;
  for (int minute = 0; minute < 30 && !has_started; ++minute) {
    if (!running.empty()) running.pop_back();
    Time now = kNow + std::chrono::minutes(minute);
    Waiting small{"small", {1, kGib, 0}, now};
    for (const Choice& choice : choose(host(), {big, small}, running, now)) {
      if (!choice.reason.empty()) continue;
      has_started = has_started || choice.job == "big";
      running.push_back({1, kGib, 0});
    }
  }
  EXPECT_TRUE(has_started);
}

TEST(Placement, gpus_are_never_shared) {
  auto with_gpus = [](const std::string& name, int64_t gpus) {
    return Waiting{name, {1, kGib, gpus}, kNow};
  };
  auto choices =
      choose(host(), {with_gpus("a", 1), with_gpus("b", 2), with_gpus("c", 1)}, {}, kNow);
  EXPECT_EQ(started(choices), "ac");
  EXPECT_EQ(started(choose({9, {}, {}, 0}, {with_gpus("a", 8)}, {}, kNow)), "a");
}

}  // namespace trainyard::scheduler
