// SPDX-License-Identifier: Apache-2.0
#include "protocol/report.hpp"

#include <gtest/gtest.h>

namespace trainyard::protocol {

TEST(Report, round_trips_with_events_and_log) {
  std::string text =
      R"({"job":"j","attempt":2,"host":"algo-1","events":[)"
      R"({"sequence":1,"kind":"training","time_ms":5,"message":"m"},)"
      R"({"sequence":2,"kind":"finished","time_ms":6,"message":"","outcome":"failed",)"
      R"("failure_reason":"AlgorithmError: x","has_artifacts":true}],)"
      R"("log":{"offset":10,"end":14,"lines":[{"time_ms":5,"text":"abc"}]}})";
  auto report = parse_report(json::parse_object(text).value());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(json::serialize(to_json(*report)), text);
}

TEST(Report, an_answer_round_trips) {
  ReportAnswer answer{4, 1064, Command::give_up, true};
  EXPECT_EQ(
      json::serialize(to_json(parse_answer(to_json(answer)).value())),
      R"({"acknowledged_sequence":4,"log_offset":1064,"command":"give_up","may_proceed":true})");
}

TEST(Report, malformed_reports_name_the_member) {
  auto error = [](std::string_view text) {
    auto report = parse_report(json::parse_object(text).value());
    return report ? std::string("accepted") : report.error().message;
  };
  EXPECT_NE(error(R"({"job":1})").find("'job'"), std::string::npos);
  std::string head = R"({"job":"j","attempt":1,"host":"h",)";
  EXPECT_NE(error(head + R"("events":[{"sequence":1,"kind":"dance","time_ms":1}]})").find("dance"),
            std::string::npos);
  EXPECT_NE(
      error(head + R"("events":[{"sequence":1,"kind":"finished","time_ms":1}]})").find("'outcome'"),
      std::string::npos);
  EXPECT_NE(error(head + R"("log":{"offset":5,"end":4,"lines":[]}})").find("'log'"),
            std::string::npos);
}

}  // namespace trainyard::protocol
