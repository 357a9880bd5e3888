// SPDX-License-Identifier: Apache-2.0
// Log streams of instances in SQLite (logs.db): events and the offset up to which the instance's
// log file was taken change in one transaction, so nothing is lost or doubled. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/guarded.hpp"
#include "db/database.hpp"
#include "protocol/report.hpp"

namespace trainyard::logs {

struct Stream {
  std::string name;  // "<job>/algo-1-<epoch seconds>"
  Time created;
  std::optional<Time> first_event;
  std::optional<Time> last_event;
  std::optional<Time> last_ingestion;
  int64_t size_bytes = 0;
};

struct LogEvent {
  int64_t stream_id = 0;
  std::string stream;
  int64_t position = 0;  // from 0, without gaps, in order of arrival
  Time time;             // never less than that of the event before
  Time ingested;
  std::string message;
};

// Events of one stream with start <= time < end, from a position on, in either direction.
struct EventQuery {
  std::string stream;
  std::optional<Time> start;
  std::optional<Time> end;
  std::optional<int64_t> from;  // position of the first (last, when backward) event to return
  bool is_backward = false;     // the events before `from`, still oldest first
  size_t limit = 10'000;
};

class LogStore {
 public:
  static Result<std::unique_ptr<LogStore>> open(const fs::path& file, const Clock& clock);

  // Makes the stream unless it is there.
  Result<> create_stream(const std::string& name);

  // Takes the chunk if it begins where the stream ends, and returns where the stream ends then.
  Result<int64_t> append(const std::string& stream, const protocol::LogChunk& chunk);
  Result<int64_t> offset(const std::string& stream);  // 0 for one that is not there

  // Streams in order of their names, behind `after`.
  Result<std::vector<Stream>> streams(const std::string& prefix, const std::string& after,
                                      size_t limit);
  Result<bool> has_streams();
  Result<bool> has_stream(const std::string& name);

  // At most about 1 MiB of messages.
  Result<std::vector<LogEvent>> events(const EventQuery& query);
  Result<int64_t> event_count(const std::string& stream);

 private:
  LogStore(db::Database database, const Clock& clock)
      : clock_(clock), database_(std::move(database)) {}

  const Clock& clock_;
  Guarded<db::Database> database_;
};

}  // namespace trainyard::logs
