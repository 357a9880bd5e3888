// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>

#include "cli/commands.hpp"

namespace trainyard::cli {

namespace {

constexpr std::string_view kLogGroup = "/aws/sagemaker/TrainingJobs";

// Prints what is new in a job's streams.
class LogReader {
 public:
  LogReader(Service& service, const std::string& job) : service_(service), job_(job) {}

  Result<> print_new() {
    if (stream_.empty()) TRY(find_stream());
    while (!stream_.empty()) {
      json::object request{
          {"logGroupName", kLogGroup}, {"logStreamName", stream_}, {"startFromHead", true}};
      if (!token_.empty()) request["nextToken"] = token_;
      auto answer = TRY(service_.call("logs", "Logs_20140328.GetLogEvents", request));
      token_ = json::find_string(answer, "nextForwardToken").value_or("");
      const json::array* events = json::find_array(answer, "events");
      if (events == nullptr || events->empty()) break;
      for (const json::value& event : *events) {
        fmt::print("{}\n", json::find_string(event.get_object(), "message").value_or(""));
      }
    }
    std::fflush(stdout);
    return {};
  }

 private:
  Result<> find_stream() {
    json::object request{{"logGroupName", kLogGroup}, {"logStreamNamePrefix", job_ + "/"}};
    auto answer = service_.call("logs", "Logs_20140328.DescribeLogStreams", request);
    if (!answer && answer.error().code == Code::not_found) return {};
    if (!answer) return Failure(answer.error());
    const json::array* streams = json::find_array(*answer, "logStreams");
    if (streams == nullptr || streams->empty()) return {};
    stream_ = json::find_string((*streams)[0].get_object(), "logStreamName").value_or("");
    return {};
  }

  Service& service_;
  std::string job_;
  std::string stream_;
  std::string token_;
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
