// SPDX-License-Identifier: Apache-2.0
#include "engine/routed_engine.hpp"

#include <gtest/gtest.h>

#include "engine/fake_engine.hpp"

namespace trainyard::engine {

namespace {

// FakeEngine under another name.
class NamedEngine : public FakeEngine {
 public:
  explicit NamedEngine(std::string name) : name_(std::move(name)) {}
  Capabilities capabilities() const override { return {name_}; }

 private:
  std::string name_;
};

Gang gang(const std::string& job, const std::string& engine) {
  protocol::Assignment one;
  one.job_name = job;
  one.engine = engine;
  return {{one}};
}

std::unique_ptr<RoutedEngine> two() {
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(std::make_unique<NamedEngine>("local"));
  engines.push_back(std::make_unique<NamedEngine>("docker"));
  return std::make_unique<RoutedEngine>(std::move(engines),
                                        [](const protocol::Assignment& one) -> Result<std::string> {
                                          if (one.engine.empty())
                                            return fail(Code::invalid, "nothing runs it");
                                          return one.engine;
                                        });
}

}  // namespace

TEST(RoutedEngine, starts_where_the_rule_says_and_goes_where_the_handle_says) {
  auto engine = two();
  auto a = engine->start(gang("a", "local")).value();
  auto b = engine->start(gang("b", "docker")).value();
  EXPECT_NE(a[0].text.substr(0, 7), "docker:");
  EXPECT_EQ(b[0].text.substr(0, 7), "docker:");
  EXPECT_EQ(engine->recover()->size(), 2u);
  EXPECT_EQ(engine->inspect(b[0])->state, InstanceState::running);
  ASSERT_TRUE(engine->stop(b[0]));
  ASSERT_TRUE(engine->remove(b[0]));
  EXPECT_EQ(engine->recover()->size(), 1u);
}

TEST(RoutedEngine, keeps_a_job_where_it_is_though_the_rules_changed) {
  auto engine = two();
  auto first = engine->start(gang("a", "docker")).value();
  EXPECT_EQ(engine->start(gang("a", "local")).value()[0].text, first[0].text);
  ASSERT_TRUE(engine->remove(first[0]));
  EXPECT_NE(engine->start(gang("a", "local")).value()[0].text, first[0].text);
}

TEST(RoutedEngine, says_when_an_engine_is_not_there) {
  auto engine = two();
  EXPECT_EQ(engine->inspect({"slurm:17"}).error().code, Code::unavailable);
  EXPECT_EQ(engine->start(gang("a", "slurm")).error().code, Code::unavailable);
  EXPECT_EQ(engine->start(gang("a", "")).error().code, Code::invalid);
}

}  // namespace trainyard::engine
