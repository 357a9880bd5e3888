// SPDX-License-Identifier: Apache-2.0
#include "metrics/metric_store.hpp"

#include <array>

#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::metrics {

namespace {

constexpr std::array<std::string_view, 1> kMigrations = {R"sql(
CREATE TABLE series (
  id              INTEGER PRIMARY KEY,
  name            TEXT NOT NULL,
  dimension       TEXT NOT NULL,
  dimension_value TEXT NOT NULL,
  UNIQUE (dimension, dimension_value, name)
);
CREATE TABLE aggregate (
  series     INTEGER NOT NULL REFERENCES series (id),
  resolution INTEGER NOT NULL,  -- seconds
  start      INTEGER NOT NULL,  -- epoch seconds, a multiple of the resolution
  count      INTEGER NOT NULL,
  sum        REAL NOT NULL,
  minimum    REAL NOT NULL,
  maximum    REAL NOT NULL,
  last       REAL NOT NULL,
  last_ms    INTEGER NOT NULL,
  PRIMARY KEY (series, resolution, start)
) WITHOUT ROWID;
CREATE TABLE log_position (
  stream TEXT PRIMARY KEY,
  next   INTEGER NOT NULL
) WITHOUT ROWID;
)sql"};

// How an aggregate joins one that is there.
constexpr std::string_view kMerge =
    "ON CONFLICT DO UPDATE SET count = count + excluded.count, sum = sum + excluded.sum, "
    "minimum = min(minimum, excluded.minimum), maximum = max(maximum, excluded.maximum), "
    "last = iif(excluded.last_ms >= last_ms, excluded.last, last), "
    "last_ms = max(last_ms, excluded.last_ms)";

struct Age {
  int64_t resolution;
  int64_t kept_seconds;
  int64_t next_resolution;  // 0: deleted
};
constexpr int64_t kDay = 86400;
constexpr std::array kAges = {Age{1, 3 * 3600, 60}, Age{60, 15 * kDay, 300},
                              Age{300, 63 * kDay, 3600}, Age{3600, 455 * kDay, 0}};
constexpr std::chrono::minutes kRollUpInterval{10};

Result<int64_t> series_id(db::Database& database, const Sample& sample) {
  auto insert = database.prepare(
      "INSERT OR IGNORE INTO series (name, dimension, dimension_value) VALUES (?, ?, ?)");
  TRY(insert.bind(sample.name).bind(sample.dimension.name).bind(sample.dimension.value).run());
  auto row = database.prepare(
      "SELECT id FROM series WHERE name = ? AND dimension = ? AND dimension_value = ?");
  row.bind(sample.name).bind(sample.dimension.name).bind(sample.dimension.value);
  if (!TRY(row.step())) return fail(Code::internal, "a series that was just made is not there");
  return row.integer(0);
}

Result<> insert_all(db::Database& database, const std::vector<Sample>& samples) {
  for (const Sample& sample : samples) {
    int64_t series = TRY(series_id(database, sample));
    int64_t time_ms = to_epoch_ms(sample.time);
    auto insert = database.prepare(
        fmt::format("INSERT INTO aggregate VALUES (?1, 1, ?2, 1, ?3, ?3, ?3, ?3, ?4) {}", kMerge));
    TRY(insert.bind(series).bind(time_ms / 1000).bind(sample.value).bind(time_ms).run());
  }
  return {};
}

Result<> roll_up_age(db::Database& database, const Age& age, int64_t now_seconds) {
  int64_t limit = now_seconds - age.kept_seconds;
  if (age.next_resolution != 0) {
    limit -= limit % age.next_resolution;
    auto merge = database.prepare(fmt::format(
        "INSERT INTO aggregate SELECT series, ?1, start / ?1 * ?1, count, sum, minimum, maximum, "
        "last, last_ms FROM aggregate WHERE resolution = ?2 AND start < ?3 {}",
        kMerge));
    TRY(merge.bind(age.next_resolution).bind(age.resolution).bind(limit).run());
  }
  auto remove = database.prepare("DELETE FROM aggregate WHERE resolution = ? AND start < ?");
  return remove.bind(age.resolution).bind(limit).run();
}

Result<> roll_up_all(db::Database& database, Time now) {
  auto transaction = TRY(db::Transaction::begin(database));
  for (const Age& age : kAges) TRY(roll_up_age(database, age, to_epoch_ms(now) / 1000));
  return transaction.commit();
}

}  // namespace

Result<std::unique_ptr<MetricStore>> MetricStore::open(const fs::path& file, const Clock& clock) {
  auto database = TRY(db::Database::open(file, db::Durability::process_crash, kMigrations));
  return std::unique_ptr<MetricStore>(new MetricStore(std::move(database), clock));
}

Result<> MetricStore::add(const std::vector<Sample>& samples) {
  if (samples.empty()) return {};
  return state_.with([&](State& state) -> Result<> {
    auto transaction = TRY(db::Transaction::begin(state.database));
    TRY(insert_all(state.database, samples));
    TRY(transaction.commit());
    if (clock_.now() - state.rolled_up < kRollUpInterval) return {};
    state.rolled_up = clock_.now();
    return roll_up_all(state.database, state.rolled_up);
  });
}

Result<> MetricStore::add_from_log(const std::string& stream, int64_t from, int64_t next,
                                   const std::vector<Sample>& samples) {
  return state_.with([&](State& state) -> Result<> {
    auto transaction = TRY(db::Transaction::begin(state.database));
    auto row = state.database.prepare("SELECT next FROM log_position WHERE stream = ?");
    row.bind(stream);
    int64_t position = TRY(row.step()) ? row.integer(0) : 0;
    if (position != from) return {};
    TRY(insert_all(state.database, samples));
    auto update = state.database.prepare(
        "INSERT INTO log_position VALUES (?1, ?2) ON CONFLICT DO UPDATE SET next = ?2");
    TRY(update.bind(stream).bind(next).run());
    return transaction.commit();
  });
}

Result<int64_t> MetricStore::log_position(const std::string& stream) {
  return state_.with([&](State& state) -> Result<int64_t> {
    auto row = state.database.prepare("SELECT next FROM log_position WHERE stream = ?");
    row.bind(stream);
    return TRY(row.step()) ? row.integer(0) : 0;
  });
}

Result<std::vector<Aggregate>> MetricStore::statistics(const StatisticsQuery& query) {
  return state_.with([&](State& state) -> Result<std::vector<Aggregate>> {
    auto row = state.database.prepare(
        "SELECT a.start / ?1 * ?1, sum(a.count), sum(a.sum), min(a.minimum), max(a.maximum) "
        "FROM aggregate a JOIN series s ON a.series = s.id WHERE s.name = ?2 AND s.dimension = ?3 "
        "AND s.dimension_value = ?4 AND a.start >= ?5 AND a.start < ?6 "
        "GROUP BY a.start / ?1 ORDER BY a.start");
    row.bind(query.period.count()).bind(query.name);
    row.bind(query.dimension.name).bind(query.dimension.value);
    row.bind(to_epoch_ms(query.start) / 1000).bind((to_epoch_ms(query.end) + 999) / 1000);
    std::vector<Aggregate> result;
    while (TRY(row.step())) {
      result.push_back({from_epoch_ms(row.integer(0) * 1000), row.integer(1), row.real(2),
                        row.real(3), row.real(4)});
    }
    return result;
  });
}

Result<std::vector<FinalValue>> MetricStore::final_values(const Dimension& dimension, Time since) {
  return state_.with([&](State& state) -> Result<std::vector<FinalValue>> {
    // max() picks the row that the other columns are taken from.
    auto row = state.database.prepare(
        "SELECT s.name, a.last, max(a.last_ms) FROM aggregate a JOIN series s ON a.series = s.id "
        "WHERE s.dimension = ? AND s.dimension_value = ? AND a.last_ms >= ? "
        "GROUP BY s.id ORDER BY s.name");
    row.bind(dimension.name).bind(dimension.value).bind(to_epoch_ms(since));
    std::vector<FinalValue> values;
    while (TRY(row.step())) {
      values.push_back({row.text(0), from_epoch_ms(row.integer(2)), row.real(1)});
    }
    return values;
  });
}

Result<std::vector<Series>> MetricStore::series(int64_t after, size_t limit) {
  return state_.with([&](State& state) -> Result<std::vector<Series>> {
    auto row = state.database.prepare(
        "SELECT id, name, dimension, dimension_value FROM series WHERE id > ? ORDER BY id LIMIT ?");
    row.bind(after).bind(limit);
    std::vector<Series> result;
    while (TRY(row.step())) {
      result.push_back({row.integer(0), row.text(1), {row.text(2), row.text(3)}});
    }
    return result;
  });
}

Result<> MetricStore::roll_up() {
  return state_.with([&](State& state) { return roll_up_all(state.database, clock_.now()); });
}

}  // namespace trainyard::metrics
