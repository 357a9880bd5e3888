// SPDX-License-Identifier: Apache-2.0
#include "protocol/report.hpp"

#include <array>

namespace trainyard::protocol {

namespace {

constexpr std::array<std::string_view, 8> kKinds = {"preparing", "downloading", "ready",
                                                    "training",  "progress",    "stopping",
                                                    "uploading", "finished"};
constexpr std::array<std::string_view, 5> kOutcomes = {"completed", "failed", "stopped",
                                                       "max_runtime_exceeded", "interrupted"};
constexpr std::array<std::string_view, 5> kCommands = {"go_on", "stop", "obsolete", "interrupt",
                                                       "give_up"};

template <class Enum, size_t N>
Result<Enum> parse_word(const std::array<std::string_view, N>& words, std::string_view member,
                        std::string_view word) {
  for (size_t i = 0; i < N; ++i) {
    if (words[i] == word) return static_cast<Enum>(i);
  }
  return fail(Code::invalid, "member '{}' has the unknown value '{}'", member, word);
}

template <class Enum, size_t N>
std::string_view word_of(const std::array<std::string_view, N>& words, Enum value) {
  return words[static_cast<size_t>(value)];
}

Result<LogChunk> parse_log(const json::object& document) {
  LogChunk chunk;
  chunk.offset = TRY(json::get_integer(document, "offset"));
  chunk.end = TRY(json::get_integer(document, "end"));
  if (chunk.offset < 0 || chunk.end < chunk.offset) {
    return fail(Code::invalid, "member 'log' ends before it begins");
  }
  const json::array* lines = json::find_array(document, "lines");
  if (lines == nullptr) return fail(Code::invalid, "member 'lines' is missing or is not a list");
  for (const json::value& line : *lines) {
    if (!line.is_object()) return fail(Code::invalid, "member 'lines' holds a non-object");
    LogLine parsed;
    parsed.time_ms = TRY(json::get_integer(line.get_object(), "time_ms"));
    parsed.text = TRY(json::get_string(line.get_object(), "text"));
    chunk.lines.push_back(std::move(parsed));
  }
  return chunk;
}

Result<Measurement> parse_measurement(const json::object& document) {
  Measurement measurement;
  measurement.name = TRY(json::get_string(document, "name"));
  measurement.time_ms = TRY(json::get_integer(document, "time_ms"));
  const json::value* value = json::find(document, "value");
  if (value == nullptr || !value->is_number()) {
    return fail(Code::invalid, "member 'value' is missing or is not a number");
  }
  measurement.value = value->to_number<double>();
  return measurement;
}

}  // namespace

std::string_view name(Outcome outcome) {
  return word_of(kOutcomes, outcome);
}

std::optional<Outcome> parse_outcome(std::string_view name) {
  auto parsed = parse_word<Outcome>(kOutcomes, "outcome", name);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

json::object to_json(const Event& event) {
  json::object document{{"sequence", event.sequence},
                        {"kind", word_of(kKinds, event.kind)},
                        {"time_ms", event.time_ms},
                        {"message", event.message}};
  if (event.outcome) {
    document["outcome"] = word_of(kOutcomes, *event.outcome);
    document["failure_reason"] = event.failure_reason;
    document["has_artifacts"] = event.has_artifacts;
    if (!event.diagnosis.empty()) document["diagnosis"] = event.diagnosis;
  }
  return document;
}

json::object to_json(const Report& report) {
  json::array events;
  for (const Event& event : report.events) events.push_back(to_json(event));
  json::object document{{"job", report.job},
                        {"attempt", report.attempt},
                        {"host", report.host},
                        {"events", std::move(events)}};
  json::array measurements;
  for (const Measurement& one : report.measurements) {
    measurements.push_back(
        json::object{{"name", one.name}, {"time_ms", one.time_ms}, {"value", one.value}});
  }
  if (!measurements.empty()) document["measurements"] = std::move(measurements);
  if (report.log) {
    json::array lines;
    for (const LogLine& line : report.log->lines) {
      lines.push_back(json::object{{"time_ms", line.time_ms}, {"text", line.text}});
    }
    document["log"] = json::object{
        {"offset", report.log->offset}, {"end", report.log->end}, {"lines", std::move(lines)}};
  }
  return document;
}

json::object to_json(const ReportAnswer& answer) {
  return {{"acknowledged_sequence", answer.acknowledged_sequence},
          {"log_offset", answer.log_offset},
          {"command", word_of(kCommands, answer.command)},
          {"may_proceed", answer.may_proceed}};
}

Result<Event> parse_event(const json::object& document) {
  Event event;
  event.sequence = TRY(json::get_integer(document, "sequence"));
  event.kind = TRY(parse_word<EventKind>(kKinds, "kind", TRY(json::get_string(document, "kind"))));
  event.time_ms = TRY(json::get_integer(document, "time_ms"));
  event.message = json::find_string(document, "message").value_or("");
  if (event.kind == EventKind::finished) {
    std::string word = TRY(json::get_string(document, "outcome"));
    event.outcome = TRY(parse_word<Outcome>(kOutcomes, "outcome", word));
    event.failure_reason = json::find_string(document, "failure_reason").value_or("");
    event.diagnosis = json::find_string(document, "diagnosis").value_or("");
    event.has_artifacts = json::find_bool(document, "has_artifacts").value_or(false);
  }
  return event;
}

Result<Report> parse_report(const json::object& document) {
  Report report;
  report.job = TRY(json::get_string(document, "job"));
  report.attempt = TRY(json::get_integer(document, "attempt"));
  report.host = TRY(json::get_string(document, "host"));
  if (const json::array* events = json::find_array(document, "events")) {
    for (const json::value& event : *events) {
      if (!event.is_object()) return fail(Code::invalid, "member 'events' holds a non-object");
      report.events.push_back(TRY(parse_event(event.get_object())));
    }
  }
  if (const json::object* log = json::find_object(document, "log")) {
    report.log = TRY(parse_log(*log));
  }
  if (const json::array* measurements = json::find_array(document, "measurements")) {
    for (const json::value& value : *measurements) {
      if (!value.is_object())
        return fail(Code::invalid, "member 'measurements' holds a non-object");
      report.measurements.push_back(TRY(parse_measurement(value.get_object())));
    }
  }
  return report;
}

Result<ReportAnswer> parse_answer(const json::object& document) {
  ReportAnswer answer;
  answer.acknowledged_sequence = TRY(json::get_integer(document, "acknowledged_sequence"));
  answer.log_offset = TRY(json::get_integer(document, "log_offset"));
  std::string word = TRY(json::get_string(document, "command"));
  answer.command = TRY(parse_word<Command>(kCommands, "command", word));
  answer.may_proceed = json::find_bool(document, "may_proceed").value_or(false);
  return answer;
}

}  // namespace trainyard::protocol
