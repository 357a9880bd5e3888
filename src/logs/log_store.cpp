// SPDX-License-Identifier: Apache-2.0
#include "logs/log_store.hpp"

#include <algorithm>
#include <array>

#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::logs {

namespace {

constexpr std::array<std::string_view, 1> kMigrations = {R"sql(
CREATE TABLE stream (
  id           INTEGER PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,
  created_ms   INTEGER NOT NULL,
  ingested_ms  INTEGER,
  end_offset   INTEGER NOT NULL DEFAULT 0,  -- of the instance's log file
  event_count  INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE event (
  stream      INTEGER NOT NULL REFERENCES stream (id),
  position    INTEGER NOT NULL,
  time_ms     INTEGER NOT NULL,
  ingested_ms INTEGER NOT NULL,
  message     TEXT NOT NULL,
  PRIMARY KEY (stream, position)
) WITHOUT ROWID;
CREATE INDEX event_time ON event (stream, time_ms, position);
)sql"};

struct StreamRow {
  int64_t id = 0;
  int64_t end_offset = 0;
  int64_t event_count = 0;
  int64_t last_ms = 0;
};

Result<std::optional<StreamRow>> find_stream(db::Database& database, const std::string& name) {
  auto row = database.prepare(
      "SELECT id, end_offset, event_count, (SELECT time_ms FROM event WHERE stream = id "
      "ORDER BY position DESC LIMIT 1) FROM stream WHERE name = ?");
  row.bind(name);
  if (!TRY(row.step())) return std::nullopt;
  return StreamRow{row.integer(0), row.integer(1), row.integer(2), row.integer(3)};
}

std::optional<Time> time_from(std::optional<int64_t> epoch_ms) {
  if (!epoch_ms) return std::nullopt;
  return from_epoch_ms(*epoch_ms);
}

}  // namespace

Result<std::unique_ptr<LogStore>> LogStore::open(const fs::path& file, const Clock& clock) {
  auto database = TRY(db::Database::open(file, db::Durability::process_crash, kMigrations));
  return std::unique_ptr<LogStore>(new LogStore(std::move(database), clock));
}

Result<> LogStore::create_stream(const std::string& name) {
  return database_.with([&](db::Database& database) -> Result<> {
    auto insert = database.prepare("INSERT OR IGNORE INTO stream (name, created_ms) VALUES (?, ?)");
    return insert.bind(name).bind(to_epoch_ms(clock_.now())).run();
  });
}

Result<int64_t> LogStore::append(const std::string& stream, const protocol::LogChunk& chunk) {
  return database_.with([&](db::Database& database) -> Result<int64_t> {
    auto transaction = TRY(db::Transaction::begin(database));
    auto found = TRY(find_stream(database, stream));
    if (!found) return fail(Code::not_found, "no log stream '{}'", stream);
    if (chunk.offset != found->end_offset) return found->end_offset;
    int64_t now_ms = to_epoch_ms(clock_.now());
    int64_t last_ms = found->last_ms;
    int64_t position = found->event_count;
    for (const protocol::LogLine& line : chunk.lines) {
      last_ms = std::max(last_ms, line.time_ms);
      auto insert = database.prepare("INSERT INTO event VALUES (?, ?, ?, ?, ?)");
      insert.bind(found->id).bind(position++).bind(last_ms).bind(now_ms).bind(line.text);
      TRY(insert.run());
    }
    auto update = database.prepare(
        "UPDATE stream SET end_offset = ?, event_count = ?, ingested_ms = ? WHERE id = ?");
    TRY(update.bind(chunk.end).bind(position).bind(now_ms).bind(found->id).run());
    TRY(transaction.commit());
    return chunk.end;
  });
}

Result<int64_t> LogStore::offset(const std::string& stream) {
  return database_.with([&](db::Database& database) -> Result<int64_t> {
    auto found = TRY(find_stream(database, stream));
    return found ? found->end_offset : 0;
  });
}

Result<std::vector<Stream>> LogStore::streams(const std::string& prefix, const std::string& after,
                                              size_t limit) {
  return database_.with([&](db::Database& database) -> Result<std::vector<Stream>> {
    auto row = database.prepare(
        "SELECT name, created_ms, "
        "(SELECT time_ms FROM event WHERE stream = id ORDER BY position LIMIT 1), "
        "(SELECT time_ms FROM event WHERE stream = id ORDER BY position DESC LIMIT 1), "
        "ingested_ms, end_offset FROM stream WHERE name >= ? AND name > ? ORDER BY name");
    row.bind(prefix).bind(after);
    std::vector<Stream> result;
    while (result.size() < limit && TRY(row.step())) {
      std::string name = row.text(0);
      if (!name.starts_with(prefix)) break;
      result.push_back({std::move(name), from_epoch_ms(row.integer(1)),
                        time_from(row.optional_integer(2)), time_from(row.optional_integer(3)),
                        time_from(row.optional_integer(4)), row.integer(5)});
    }
    return result;
  });
}

Result<bool> LogStore::has_streams() {
  return database_.with([&](db::Database& database) -> Result<bool> {
    auto row = database.prepare("SELECT 1 FROM stream LIMIT 1");
    return row.step();
  });
}

Result<bool> LogStore::has_stream(const std::string& name) {
  return database_.with([&](db::Database& database) -> Result<bool> {
    return TRY(find_stream(database, name)).has_value();
  });
}

Result<std::vector<LogEvent>> LogStore::events(const EventQuery& query) {
  constexpr size_t kMaxBytes = 1 << 20;
  return database_.with([&](db::Database& database) -> Result<std::vector<LogEvent>> {
    std::vector<LogEvent> result;
    auto found = TRY(find_stream(database, query.stream));
    if (!found) return fail(Code::not_found, "The specified log stream does not exist.");
    // Times never run backwards within a stream: a range of times is a range of positions.
    auto row = database.prepare(fmt::format(
        "SELECT position, time_ms, ingested_ms, message FROM event WHERE stream = ?1 "
        "AND time_ms >= ?2 AND time_ms < ?3 AND position {} ?4 ORDER BY position {} LIMIT ?5",
        query.is_backward ? "<=" : ">=", query.is_backward ? "DESC" : "ASC"));
    constexpr int64_t kForever = int64_t{1} << 60;
    row.bind(found->id).bind(query.start ? to_epoch_ms(*query.start) : 0);
    row.bind(query.end ? to_epoch_ms(*query.end) : kForever);
    row.bind(query.from.value_or(query.is_backward ? kForever : 0)).bind(query.limit);
    size_t bytes = 0;
    while (TRY(row.step())) {
      std::string message = row.text(3);
      bytes += message.size() + 26;  // what CloudWatch counts for an event
      if (!result.empty() && bytes > kMaxBytes) break;
      result.push_back({found->id, query.stream, row.integer(0), from_epoch_ms(row.integer(1)),
                        from_epoch_ms(row.integer(2)), std::move(message)});
    }
    if (query.is_backward) std::reverse(result.begin(), result.end());
    return result;
  });
}

Result<int64_t> LogStore::event_count(const std::string& stream) {
  return database_.with([&](db::Database& database) -> Result<int64_t> {
    auto found = TRY(find_stream(database, stream));
    return found ? found->event_count : 0;
  });
}

}  // namespace trainyard::logs
