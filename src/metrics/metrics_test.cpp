// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "metrics/extraction.hpp"
#include "metrics/metric_store.hpp"

namespace trainyard::metrics {

namespace {

std::string values(const std::string& regex, const std::string& line) {
  std::string text;
  for (const Found& found : Extractor({{"m", regex}}).values_in(line)) {
    text += fmt::format("{} ", found.value);
  }
  return text;
}

}  // namespace

TEST(Extraction, the_first_group_is_the_value) {
  EXPECT_EQ(values("loss: ([0-9.]+)", "epoch 1 loss: 0.25 loss: 0.5"), "0.25 ");
  EXPECT_EQ(values("a=(.*);", "a= +1e-3 ;"), "0.001 ");
  EXPECT_EQ(values("a=(.*)", "a=-7"), "-7 ");
}

TEST(Extraction, what_is_no_finite_number_is_none) {
  for (const char* text : {"nan", "NaN", "inf", "1e400", "-1e400", "", "1.2.3", "0x10", "one"}) {
    EXPECT_EQ(values("a=(.*)", std::string("a=") + text), "") << text;
  }
}

TEST(Extraction, patterns_without_a_group_or_beyond_re2_are_told) {
  EXPECT_FALSE(fault_in("a(b)"));
  EXPECT_EQ(fault_in("ab"), "it has no group () around the value");
  EXPECT_TRUE(fault_in("(a"));
  EXPECT_TRUE(fault_in("(?<=x)(a)"));
  EXPECT_EQ(values("(a", "a"), "");
}

TEST(Extraction, a_catastrophic_pattern_takes_linear_time) {
  std::string line(256 << 10, 'a');
  EXPECT_EQ(values("((a+)+)+$b", line), "");
  EXPECT_EQ(values("(x+x+)+y", std::string(256 << 10, 'x')), "");
}

class MetricStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    store_ = MetricStore::open(folder_ / "metrics.db", clock_).value();
  }
  void TearDown() override {
    store_.reset();
    static_cast<void>(remove_tree(folder_));
  }
  Sample sample(double value) { return {"loss", kJob, clock_.now(), value}; }
  std::string statistics(std::chrono::seconds period) {
    std::string text;
    StatisticsQuery query{"loss", kJob, Time(), clock_.now() + std::chrono::seconds(1), period};
    auto found = store_->statistics(query).value();
    for (const Aggregate& one : found) {
      text += fmt::format("{}:{}/{}/{}/{} ", to_epoch_ms(one.start) / 1000, one.count, one.sum,
                          one.minimum, one.maximum);
    }
    return text;
  }

  const Dimension kJob{"TrainingJobName", "j"};
  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_{1'700'000'100'000};
  std::unique_ptr<MetricStore> store_;
};

TEST_F(MetricStoreTest, values_are_aggregated_by_period) {
  ASSERT_TRUE(store_->add({sample(1), sample(3)}));
  clock_.advance(std::chrono::seconds(5));
  ASSERT_TRUE(store_->add({sample(-4)}));
  EXPECT_EQ(statistics(std::chrono::seconds(1)), "1700000100:2/4/1/3 1700000105:1/-4/-4/-4 ");
  EXPECT_EQ(statistics(std::chrono::seconds(60)), "1700000100:3/0/-4/3 ");
  auto last = store_->final_values(kJob, Time()).value();
  ASSERT_EQ(last.size(), 1U);
  EXPECT_EQ(last[0].value, -4);
  EXPECT_TRUE(store_->final_values(kJob, clock_.now() + std::chrono::seconds(1))->empty());
  EXPECT_TRUE(store_->final_values({"TrainingJobName", "other"}, Time())->empty());
}

TEST_F(MetricStoreTest, what_a_log_holds_counts_once) {
  ASSERT_TRUE(store_->add_from_log("s", 0, 2, {sample(1)}));
  ASSERT_TRUE(store_->add_from_log("s", 0, 2, {sample(1)}));
  ASSERT_TRUE(store_->add_from_log("s", 2, 3, {sample(2)}));
  EXPECT_EQ(store_->log_position("s").value(), 3);
  EXPECT_EQ(statistics(std::chrono::seconds(60)), "1700000100:2/3/1/2 ");
}

TEST_F(MetricStoreTest, old_values_are_thinned_and_then_go) {
  for (int i = 0; i < 120; ++i) {
    ASSERT_TRUE(store_->add({sample(i)}));
    clock_.advance(std::chrono::seconds(1));
  }
  clock_.advance(std::chrono::hours(4));
  ASSERT_TRUE(store_->roll_up());
  EXPECT_EQ(statistics(std::chrono::seconds(60)),
            "1700000100:60/1770/0/59 1700000160:60/5370/60/119 ");
  EXPECT_EQ(statistics(std::chrono::seconds(1)), statistics(std::chrono::seconds(60)));
  EXPECT_EQ(store_->final_values(kJob, Time())->front().value, 119);
  for (int days : {16, 64}) {
    clock_.advance(std::chrono::hours(24 * days));
    ASSERT_TRUE(store_->roll_up());
    EXPECT_EQ(store_->final_values(kJob, Time())->front().value, 119);
  }
  EXPECT_EQ(statistics(std::chrono::hours(1)), "1699999200:120/7140/0/119 ");
  clock_.advance(std::chrono::hours(24 * 456));
  ASSERT_TRUE(store_->roll_up());
  EXPECT_EQ(statistics(std::chrono::hours(1)), "");
}

}  // namespace trainyard::metrics
