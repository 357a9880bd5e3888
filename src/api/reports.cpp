// SPDX-License-Identifier: Apache-2.0
#include "api/reports.hpp"

#include <cmath>

#include "api/sagemaker/create_request.hpp"

#include "base/log.hpp"
#include "metrics/extraction.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::api {

namespace {

http::Response plain(int status, std::string text) {
  return {status, {{"Content-Type", "text/plain"}}, std::move(text)};
}

// An internal error is answered 503: the agent keeps what it has and comes again.
http::Response try_again(const Error& error) {
  log::error("taking a report", {{"error", error.message}});
  return plain(503, "try again");
}

std::string stream_of(const jobs::Job& job, const jobs::Instance& instance) {
  // A stream for each attempt: its log begins anew.
  Time begin = instance.attempt == 1 ? job.created : instance.created;
  auto seconds = std::chrono::floor<std::chrono::seconds>(begin.time_since_epoch()).count() +
                 instance.attempt - 1;
  return fmt::format("{}/{}-{}", instance.job, instance.host, seconds);
}

// Values of the job's MetricDefinitions in the log lines that were not looked at yet.
Result<> find_metrics(const Services& services, const std::string& stream, const jobs::Job& job) {
  auto definitions = sagemaker::metric_definitions(TRY(json::parse_object(job.request)));
  if (definitions.empty()) return {};
  metrics::Extractor extractor(definitions);
  for (;;) {
    int64_t from = TRY(services.metrics.log_position(stream));
    trainyard::logs::EventQuery query;
    query.stream = stream;
    query.from = from;
    auto events = TRY(services.logs.events(query));
    if (events.empty()) return {};
    std::vector<metrics::Sample> samples;
    for (const auto& event : events) {
      for (auto& found : extractor.values_in(event.message)) {
        samples.push_back(
            {std::move(found.name), {"TrainingJobName", job.name}, event.time, found.value});
      }
    }
    TRY(services.metrics.add_from_log(stream, from, events.back().position + 1, samples));
  }
}

// What the instance measured of itself: contract.md K.2.
Result<> take_measurements(const Services& services, const jobs::Instance& instance,
                           const protocol::Report& report) {
  std::vector<metrics::Sample> samples;
  for (const protocol::Measurement& one : report.measurements) {
    if (!std::isfinite(one.value) || one.name.size() > 255) continue;
    samples.push_back({one.name,
                       {"Host", instance.job + "/" + instance.host},
                       std::min(from_epoch_ms(one.time_ms), services.clock.now()),
                       one.value});
  }
  return services.metrics.add(samples);
}

Result<protocol::ReportAnswer> take(const Services& services, const jobs::Instance& instance,
                                    const protocol::Report& report) {
  protocol::ReportAnswer answer;
  auto job_then = TRY(services.jobs.find(instance.job));
  std::string stream = stream_of(job_then, instance);
  TRY(take_measurements(services, instance, report));
  if (report.log && !report.log->lines.empty()) {
    TRY(services.logs.create_stream(stream));
    answer.log_offset = TRY(services.logs.append(stream, *report.log));
    TRY(find_metrics(services, stream, job_then));
  } else {
    answer.log_offset = TRY(services.logs.offset(stream));
  }
  answer.acknowledged_sequence = TRY(services.jobs.take_events(instance, report.events));
  auto job = TRY(services.jobs.find(instance.job));
  if (job.is_interrupting) answer.command = protocol::Command::interrupt;
  if (!job.failing_reason.empty()) {
    answer.command = protocol::Command::give_up;
    services.wake_scheduler();
  }
  if (status_of(job) == JobStatus::stopping) answer.command = protocol::Command::stop;
  answer.may_proceed = TRY(services.jobs.may_proceed(instance));
  if (instance.attempt != job.attempt || job.phase == Phase::interrupted) {
    services.wake_scheduler();
  }
  if (is_terminal(job.phase)) services.wake_scheduler();
  return answer;
}

}  // namespace

http::Response take_report(const Services& services, http::Request& request) {
  constexpr std::string_view kBearer = "Bearer ";
  std::string_view authorization = request.headers.get("Authorization");
  if (!authorization.starts_with(kBearer)) return plain(401, "no report token");
  auto instance = services.jobs.find_instance(std::string(authorization.substr(kBearer.size())));
  if (!instance) return try_again(instance.error());
  if (!*instance) return plain(401, "unknown report token");
  auto text = http::read_all(*request.body, protocol::kMaxReportBytes);
  if (!text) return plain(400, text.error().message);
  auto document = json::parse_object(*text);
  if (!document) return plain(400, document.error().message);
  auto report = protocol::parse_report(*document);
  if (!report) return plain(400, report.error().message);
  auto answer = take(services, **instance, *report);
  if (!answer) return try_again(answer.error());
  return {200, {{"Content-Type", "application/json"}}, json::serialize(to_json(*answer))};
}

}  // namespace trainyard::api
