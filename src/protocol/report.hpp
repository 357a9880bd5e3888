// SPDX-License-Identifier: Apache-2.0
// What agents tell the server, and its answers:
//
//   POST /-/agent/reports
//   Authorization: Bearer <report token>
//   {"job":"digits-1","attempt":1,"host":"algo-1",
//    "events":[{"sequence":4,"kind":"training","time_ms":1795492595123,"message":"…"}],
//    "log":{"offset":1000,"end":1064,"lines":[{"time_ms":1795492595124,"text":"epoch 1"}]}}
//
//   200 {"acknowledged_sequence":4,"log_offset":1064,"command":"go_on","may_proceed":true}
//
// Reports repeat until they are acknowledged. Events count from 1 and are taken in order, each
// once. Log lines stand for the bytes [offset, end) of the instance's log file: the server takes
// them when `offset` is what it has, else it only answers with the offset it has and the agent
// sends from there. So a log has no gap and no line twice, whichever side was killed. A report
// without events and lines asks how things stand. 401: the token is not known, which for an agent
// means obsolete.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace trainyard::protocol {

constexpr std::string_view kReportPath = "/-/agent/reports";
constexpr size_t kMaxReportBytes = 4 << 20;

enum class EventKind {
  preparing,    // the instance is up; SecondaryStatus stays Starting
  downloading,  // entered Downloading
  ready,        // all is prepared; of several instances none starts its script before all are here
  training,     // the script is about to start
  progress,     // only StatusMessage changes
  stopping,     // the agent ends the script: time limit, or a stop that reached it directly
  uploading,    // entered Uploading
  finished,     // the last event; `outcome` is set
};

enum class Outcome { completed, failed, stopped, max_runtime_exceeded, interrupted };
std::string_view name(Outcome outcome);  // "max_runtime_exceeded"
std::optional<Outcome> parse_outcome(std::string_view name);

struct Event {
  int64_t sequence = 0;  // from 1, without gaps, per attempt and host
  EventKind kind = EventKind::progress;
  int64_t time_ms = 0;
  std::string message;             // StatusMessage; empty: the status table's own text
  std::optional<Outcome> outcome;  // of `finished`
  std::string failure_reason;      // of Outcome::failed: "AlgorithmError: …", at most 1,024 bytes
  bool has_artifacts = false;      // of `finished`: model.tar.gz was uploaded
  std::string diagnosis{};         // of Outcome::failed: all that is known about why, for people
};

struct LogLine {
  int64_t time_ms = 0;  // when the agent saw it
  std::string text;     // valid UTF-8, at most 256 KiB, without the line's end
};

struct LogChunk {
  int64_t offset = 0;  // of the first byte in the instance's log file
  int64_t end = 0;     // one past the last byte
  std::vector<LogLine> lines;
};

// What the instance itself measured.
struct Measurement {
  std::string name;  // "CPUUtilization", in percent
  int64_t time_ms = 0;
  double value = 0;
};

struct Report {
  std::string job;
  int64_t attempt = 1;
  std::string host;
  std::vector<Event> events;
  std::optional<LogChunk> log;
  std::vector<Measurement> measurements;
};

enum class Command {
  go_on,
  stop,       // StopTrainingJob: end the script with grace, upload, report
  obsolete,   // the server has moved on: end everything, report nothing more
  interrupt,  // the instance is taken away: end the script with grace, keep checkpoints, report
  give_up,    // another instance of the job failed: end the script soon, upload, report
};

struct ReportAnswer {
  int64_t acknowledged_sequence = 0;
  int64_t log_offset = 0;
  Command command = Command::go_on;
  // To one that is ready: all others are. To the leader when it uploads: all others have finished.
  bool may_proceed = false;
};

json::object to_json(const Event& event);
json::object to_json(const Report& report);
json::object to_json(const ReportAnswer& answer);
Result<Event> parse_event(const json::object& document);
Result<Report> parse_report(const json::object& document);
Result<ReportAnswer> parse_answer(const json::object& document);

}  // namespace trainyard::protocol
