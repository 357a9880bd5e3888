// SPDX-License-Identifier: Apache-2.0
#include "api/reports.hpp"

#include "base/log.hpp"
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

Result<std::string> stream_of(jobs::JobStore& jobs, const jobs::Instance& instance) {
  auto job = TRY(jobs.find(instance.job));
  auto seconds = std::chrono::floor<std::chrono::seconds>(job.created.time_since_epoch()).count();
  return fmt::format("{}/{}-{}", instance.job, instance.host, seconds);
}

Result<protocol::ReportAnswer> take(const Services& services, const jobs::Instance& instance,
                                    const protocol::Report& report) {
  protocol::ReportAnswer answer;
  std::string stream = TRY(stream_of(services.jobs, instance));
  if (report.log && !report.log->lines.empty()) {
    TRY(services.logs.create_stream(stream));
    answer.log_offset = TRY(services.logs.append(stream, *report.log));
  } else {
    answer.log_offset = TRY(services.logs.offset(stream));
  }
  answer.acknowledged_sequence = TRY(services.jobs.take_events(instance, report.events));
  auto job = TRY(services.jobs.find(instance.job));
  if (status_of(job.phase) == JobStatus::stopping) answer.command = protocol::Command::stop;
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
