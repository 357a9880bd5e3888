// SPDX-License-Identifier: Apache-2.0
#include "jobs/job_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/random.hpp"
#include "db/statement.hpp"
#include "jobs/schema.hpp"

namespace trainyard::jobs {

class JobStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    store_ = JobStore::open(folder_ / "server.db", clock_).value();
  }
  void TearDown() override {
    store_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  Result<> create(const std::string& name) {
    clock_.advance(std::chrono::milliseconds(1));
    return store_->create({name, "arn:" + name, "{}", "{}", "[]", {"KEY-" + name, "s", "t"}, "[]"});
  }
  std::string trace(const std::string& name) {
    std::string text;
    auto job = store_->find(name).value();
    for (const Transition& step : job.transitions) {
      text += fmt::format("{}({}){} ", api_name(step.phase), step.message, step.end ? "" : "*");
    }
    return text;
  }
  protocol::Event event(int64_t sequence, protocol::EventKind kind, std::string message = {}) {
    return {sequence, kind, to_epoch_ms(clock_.now()), std::move(message), {}, {}, false};
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
  std::unique_ptr<JobStore> store_;
};

TEST_F(JobStoreTest, a_name_is_taken_once) {
  EXPECT_TRUE(create("a"));
  EXPECT_EQ(create("a").error().code, Code::conflict);
  EXPECT_EQ(store_->find("b").error().code, Code::not_found);
}

TEST_F(JobStoreTest, changes_of_many_threads_are_each_whole_and_seen_at_once) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 40;
  std::atomic<int> first = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kRounds; ++i) {
          // One that fails shares its transaction with others, which must not notice.
          auto shared = fmt::format("shared-{}", i);
          auto own = fmt::format("own-{}-{}", thread, i);
          auto made = store_->create({shared, "arn", "{}", "{}", "[]", {shared, "s", "t"}});
          if (made) ++first;
          EXPECT_TRUE(made || made.error().code == Code::conflict);
          EXPECT_TRUE(store_->create({own, "arn", "{}", "{}", "[]", {own, "s", "t"}}));
          EXPECT_TRUE(store_->apply(own, JobEvent::stop_requested).value());
          auto job = store_->find(own);
          ASSERT_TRUE(job);
          EXPECT_EQ(job->phase, Phase::stopping);
          EXPECT_EQ(job->transitions.back().phase, Phase::stopping);
          EXPECT_TRUE(store_->apply(own, JobEvent::stopped).value());
          EXPECT_TRUE(store_->remove(own));
          EXPECT_EQ(store_->find(own).error().code, Code::not_found);
        }
      });
    }
  }
  EXPECT_EQ(first, kRounds);
  EXPECT_EQ(store_->all().value().size(), static_cast<size_t>(kRounds));
  store_ = JobStore::open(folder_ / "server.db", clock_).value();
  EXPECT_EQ(store_->active().value().size(), static_cast<size_t>(kRounds));
}

TEST_F(JobStoreTest, events_count_once_and_in_order) {
  ASSERT_TRUE(create("a"));
  ASSERT_TRUE(store_->add_instances({{"a", 1, "algo-1", "", "token", 0}}));
  auto instance = store_->find_instance("token").value().value();
  using protocol::EventKind;
  auto downloading = event(1, EventKind::downloading);
  auto progress = event(2, EventKind::progress, "Downloading the training image");
  auto training = event(3, EventKind::training);
  EXPECT_EQ(store_->take_events(instance, {downloading, progress}).value(), 2);
  EXPECT_EQ(store_->take_events(instance, {downloading, progress, training}).value(), 3);
  EXPECT_EQ(store_->take_events(instance, {event(5, EventKind::uploading)}).value(), 3) << "a gap";
  EXPECT_EQ(trace("a"),
            "Starting(Starting the training job) Downloading(Downloading the training image) "
            "Training(Training image download completed. Training in progress.)* ");
}

TEST_F(JobStoreTest, a_failure_is_final_and_its_key_ends) {
  ASSERT_TRUE(create("a"));
  EXPECT_TRUE(store_->find_credentials("KEY-a").value());
  EXPECT_TRUE(store_->apply("a", JobEvent::failed, "", "ClientError: no").value());
  EXPECT_FALSE(store_->apply("a", JobEvent::stop_requested).value());
  auto job = store_->find("a").value();
  EXPECT_EQ(job.failure_reason, "ClientError: no");
  EXPECT_TRUE(job.training_end);
  EXPECT_FALSE(job.training_start);
  EXPECT_FALSE(store_->find_credentials("KEY-a").value());
  EXPECT_TRUE(store_->active()->empty());
}

TEST_F(JobStoreTest, a_job_is_deleted_once_nothing_runs_for_it) {
  ASSERT_TRUE(create("a"));
  EXPECT_EQ(store_->remove("a").error().code, Code::conflict);
  ASSERT_TRUE(store_->add_instances({{"a", 1, "algo-1", "", "token", 0}}));
  ASSERT_TRUE(store_->apply("a", JobEvent::failed));
  ASSERT_TRUE(store_->remove("a"));
  EXPECT_EQ(status_of(store_->find("a").value()), JobStatus::deleting);
  EXPECT_EQ(store_->list({}).value().jobs[0].status, JobStatus::deleting);
  EXPECT_EQ(create("a").error().code, Code::conflict) << "its instance is still there";
  ASSERT_TRUE(store_->remove_instances("a"));
  EXPECT_EQ(store_->find("a").error().code, Code::not_found);
  EXPECT_TRUE(create("a")) << "the name is free";
  EXPECT_EQ(store_->find("a").value().transitions.size(), 1U);
  EXPECT_EQ(store_->remove("none").error().code, Code::not_found);
}

TEST_F(JobStoreTest, a_list_says_what_find_says) {
  for (const char* name : {"ended", "waits"}) ASSERT_TRUE(create(name));
  ASSERT_TRUE(store_->apply("ended", JobEvent::failed, "", "why"));
  auto page = store_->list({}).value();
  ASSERT_EQ(page.jobs.size(), 2U);
  for (const ListedJob& listed : page.jobs) {
    Job job = store_->find(listed.name).value();
    EXPECT_EQ(listed.arn, job.arn);
    EXPECT_EQ(listed.phase, job.phase);
    EXPECT_EQ(listed.status, status_of(job));
    EXPECT_EQ(listed.created, job.created);
    EXPECT_EQ(listed.modified, job.modified);
    EXPECT_EQ(listed.training_end, job.training_end);
  }
  EXPECT_EQ(page.jobs[0].phase, Phase::failed);
  EXPECT_TRUE(page.jobs[0].training_end);
  EXPECT_FALSE(page.jobs[1].training_end);
}

TEST_F(JobStoreTest, jobs_of_older_programs_are_kept) {
  for (size_t version = 1; version < kMigrations.size(); ++version) {
    fs::path file = folder_ / fmt::format("{}.db", version);
    std::span<const std::string_view> older(kMigrations.data(), version);
    {
      auto database = db::Database::open(file, db::Durability::power_loss, older).value();
      ASSERT_TRUE(database.execute(
          "INSERT INTO job (name, arn, phase, status, is_terminal, created_ms, modified_ms, "
          "request, assignment, tags, access_key, secret_key, session_token) "
          "VALUES ('old', 'arn', 'completed', 'Completed', 1, 5, 6, '{}', '{}', '[]', 'k', 's', "
          "'t')"));
    }
    auto page = JobStore::open(file, clock_).value()->list({}).value();
    ASSERT_EQ(page.jobs.size(), 1U);
    EXPECT_EQ(page.jobs[0].name, "old");
    EXPECT_EQ(page.jobs[0].status, JobStatus::completed);
  }
}

TEST_F(JobStoreTest, a_page_goes_on_where_it_ended_whatever_came_since) {
  for (const char* name : {"a1", "a2", "a3"}) ASSERT_TRUE(create(name));
  JobQuery query;
  query.limit = 2;
  query.is_descending = true;
  auto page = store_->list(query).value();
  ASSERT_TRUE(create("a4"));
  query.token = page.next_token;
  auto rest = store_->list(query).value();
  ASSERT_EQ(rest.jobs.size(), 1U);
  EXPECT_EQ(rest.jobs[0].name, "a1");
}

class AttemptsTest : public JobStoreTest {
 protected:
  void SetUp() override {
    JobStoreTest::SetUp();
    NewJob job{"a", "arn", "{}", "{}", "[]", {"KEY-1", "s", "t"}, "[]", 1, true, 60};
    ASSERT_TRUE(store_->create(job));
    ASSERT_TRUE(store_->add_instances({{"a", 1, "algo-1", "", "token-1", 0, {}}}));
  }
  // Reports of the attempt's instance, one call each.
  void report(const std::string& token, int64_t sequence, protocol::EventKind kind,
              std::optional<protocol::Outcome> outcome = {}, const std::string& reason = {}) {
    auto instance = store_->find_instance(token).value().value();
    auto made = event(sequence, kind);
    made.outcome = outcome;
    made.failure_reason = reason;
    EXPECT_EQ(store_->take_events(instance, {made}).value(), sequence);
  }
};

TEST_F(AttemptsTest, an_internal_error_is_tried_again_with_other_keys) {
  using protocol::EventKind;
  report("token-1", 1, EventKind::downloading);
  report("token-1", 2, EventKind::finished, protocol::Outcome::failed, "InternalServerError: x");
  EXPECT_EQ(store_->find("a")->attempt, 2);
  EXPECT_EQ(store_->find("a")->phase, Phase::starting);
  EXPECT_FALSE(store_->find_credentials("KEY-1").value())
      << "the old attempt cannot write any more";
  EXPECT_TRUE(store_->find_credentials(store_->find("a")->credentials.access_key).value());
  ASSERT_TRUE(store_->add_instances({{"a", 2, "algo-1", "", "token-2", 0, {}}}));
  report("token-1", 3, EventKind::training);
  EXPECT_EQ(store_->find("a")->phase, Phase::starting) << "it lost its place";
  report("token-2", 1, EventKind::finished, protocol::Outcome::failed, "InternalServerError: y");
  EXPECT_EQ(store_->find("a")->phase, Phase::failed) << "one retry was asked for";
}

TEST_F(AttemptsTest, the_jobs_own_failure_is_final) {
  report("token-1", 1, protocol::EventKind::finished, protocol::Outcome::failed,
         "AlgorithmError: x");
  EXPECT_EQ(store_->find("a")->phase, Phase::failed);
}

TEST_F(AttemptsTest, an_interruption_leads_to_the_next_attempt) {
  using protocol::EventKind;
  ASSERT_TRUE(store_->interrupt("a"));
  EXPECT_TRUE(store_->find("a")->is_interrupting);
  report("token-1", 1, EventKind::downloading);
  report("token-1", 2, EventKind::finished, protocol::Outcome::interrupted);
  EXPECT_EQ(store_->find("a")->phase, Phase::interrupted);
  ASSERT_TRUE(store_->restart("a"));
  auto job = store_->find("a").value();
  EXPECT_EQ(job.attempt, 2);
  EXPECT_FALSE(job.is_interrupting);
  EXPECT_EQ(trace("a"),
            "Starting(Starting the training job) Downloading(Downloading input data) "
            "Interrupted(Training job interrupted) Starting(Starting the training job)* ");
}

TEST_F(AttemptsTest, when_the_wait_is_over_the_job_stops) {
  ASSERT_TRUE(store_->exceed_max_wait("a"));
  EXPECT_EQ(store_->find("a")->phase, Phase::stopping) << "its script gets time to end";
  report("token-1", 1, protocol::EventKind::finished, protocol::Outcome::stopped);
  EXPECT_EQ(store_->find("a")->phase, Phase::max_wait_time_exceeded);
  ASSERT_TRUE(create("b"));
  ASSERT_TRUE(store_->exceed_max_wait("b"));
  EXPECT_EQ(store_->find("b")->phase, Phase::max_wait_time_exceeded);
}

TEST_F(AttemptsTest, only_what_runs_on_spot_can_be_interrupted) {
  ASSERT_TRUE(create("b"));
  EXPECT_EQ(store_->interrupt("b").error().code, Code::invalid);
  ASSERT_TRUE(store_->apply("a", JobEvent::failed));
  EXPECT_EQ(store_->interrupt("a").error().code, Code::invalid);
  EXPECT_EQ(store_->interrupt("none").error().code, Code::not_found);
}

TEST_F(JobStoreTest, listings_filter_sort_and_page) {
  for (const char* name : {"c1", "a2", "b3", "a4"}) ASSERT_TRUE(create(name));
  ASSERT_TRUE(store_->apply("b3", JobEvent::failed));
  auto names = [&](JobQuery query) {
    std::string text;
    for (;;) {
      auto page = store_->list(query).value();
      for (const ListedJob& job : page.jobs) text += job.name + " ";
      if (page.next_token.empty()) return text;
      text += "| ";
      query.token = page.next_token;
    }
  };
  JobQuery query;
  query.limit = 2;
  EXPECT_EQ(names(query), "c1 a2 | b3 a4 ");
  query.is_descending = true;
  EXPECT_EQ(names(query), "a4 b3 | a2 c1 ");
  query.sort_by = SortBy::name;
  EXPECT_EQ(names(query), "c1 b3 | a4 a2 ");
  query.sort_by = SortBy::status;
  query.is_descending = false;
  EXPECT_EQ(names(query), "b3 a2 | a4 c1 ");
  query.name_contains = "a";
  EXPECT_EQ(names(query), "a2 a4 ");
  query.status = JobStatus::failed;
  EXPECT_EQ(names(query), "");
  query.token = "rubbish";
  EXPECT_EQ(store_->list(query).error().code, Code::invalid);
}

}  // namespace trainyard::jobs
