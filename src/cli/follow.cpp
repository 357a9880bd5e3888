// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <map>
#include <thread>

#include "cli/commands.hpp"

namespace trainyard::cli {

namespace {

constexpr std::string_view kLogGroup = "/aws/sagemaker/TrainingJobs";

// Prints what is new in a job's streams: one for each instance of each attempt.
class LogReader {
 public:
  LogReader(Service& service, const std::string& job) : service_(service), job_(job) {}

  Result<> print_new() {
    TRY(find_streams());
    for (auto& [stream, token] : tokens_) TRY(print_new(stream, token));
    std::fflush(stdout);
    return {};
  }

 private:
  Result<> print_new(const std::string& stream, std::string& token) {
    for (;;) {
      json::object request{
          {"logGroupName", kLogGroup}, {"logStreamName", stream}, {"startFromHead", true}};
      if (!token.empty()) request["nextToken"] = token;
      auto answer = TRY(service_.call("logs", "Logs_20140328.GetLogEvents", request));
      token = json::find_string(answer, "nextForwardToken").value_or("");
      const json::array* events = json::find_array(answer, "events");
      if (events == nullptr || events->empty()) return {};
      for (const json::value& event : *events) {
        fmt::print("{}\n", json::find_string(event.get_object(), "message").value_or(""));
      }
    }
  }

  Result<> find_streams() {
    json::object request{{"logGroupName", kLogGroup}, {"logStreamNamePrefix", job_ + "/"}};
    auto answer = service_.call("logs", "Logs_20140328.DescribeLogStreams", request);
    if (!answer && answer.error().code == Code::not_found) return {};
    if (!answer) return Failure(answer.error());
    const json::array* streams = json::find_array(*answer, "logStreams");
    for (size_t i = 0; streams != nullptr && i < streams->size(); ++i) {
      tokens_.try_emplace(
          json::find_string((*streams)[i].get_object(), "logStreamName").value_or(""));
    }
    return {};
  }

  Service& service_;
  std::string job_;
  std::map<std::string, std::string> tokens_;  // by stream, in the order of attempts
};

bool is_terminal(std::string_view status) {
  return status == "Completed" || status == "Failed" || status == "Stopped";
}

Result<json::object> describe(Service& service, const std::string& name) {
  return service.call("sagemaker", "SageMaker.DescribeTrainingJob", {{"TrainingJobName", name}});
}

}  // namespace

Result<std::string> follow_job(Service& service, const std::string& name) {
  LogReader reader(service, name);
  std::string last;  // SecondaryStatus and message as last told
  for (;;) {
    // Described first: a terminal job's log is whole when it is read afterwards.
    auto job = TRY(describe(service, name));
    std::string status = json::find_string(job, "TrainingJobStatus").value_or("");
    const json::array* steps = json::find_array(job, "SecondaryStatusTransitions");
    if (steps != nullptr && !steps->empty()) {
      const json::object& step = steps->back().get_object();
      std::string now = fmt::format("{}: {}", json::find_string(step, "Status").value_or(""),
                                    json::find_string(step, "StatusMessage").value_or(""));
      if (now != std::exchange(last, now)) fmt::print(stderr, "-- {}\n", now);
    }
    TRY(reader.print_new());
    if (is_terminal(status)) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // as clients of AWS poll
  }
}

Result<int> print_logs(Service& service, const std::string& name, bool is_following) {
  if (is_following) {
    TRY(follow_job(service, name));
    return 0;
  }
  TRY(describe(service, name));
  LogReader reader(service, name);
  TRY(reader.print_new());
  return 0;
}

}  // namespace trainyard::cli
