// SPDX-License-Identifier: Apache-2.0
// Metrics in SQLite (metrics.db), as aggregates: per second for 3 hours, per minute for 15 days,
// per 5 minutes for 63 days, per hour for 455 days, then gone. These are CloudWatch's own bounds:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
// A series therefore has at most 10,800 + 21,600 + 18,144 + 10,920 rows. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/guarded.hpp"
#include "db/database.hpp"

namespace trainyard::metrics {

// What a series belongs to: {"TrainingJobName", "digits-1"}, {"Host", "digits-1/algo-1"}.
struct Dimension {
  std::string name;
  std::string value;
};

struct Sample {
  std::string name;  // "loss", "CPUUtilization"
  Dimension dimension;
  Time time;
  double value = 0;  // finite
};

struct Aggregate {
  Time start;
  int64_t count = 0;
  double sum = 0;
  double minimum = 0;
  double maximum = 0;
};

struct FinalValue {
  std::string name;
  Time time;
  double value = 0;
};

struct Series {
  int64_t id = 0;
  std::string name;
  Dimension dimension;
};

struct StatisticsQuery {
  std::string name;
  Dimension dimension;
  Time start;
  Time end;  // behind the last
  std::chrono::seconds period{60};
};

class MetricStore {
 public:
  static Result<std::unique_ptr<MetricStore>> open(const fs::path& file, const Clock& clock);

  Result<> add(const std::vector<Sample>& samples);

  // What the log events [from, next) of a stream hold: taken only when `from` is where the last
  // call for this stream ended, in one transaction with that position.
  Result<> add_from_log(const std::string& stream, int64_t from, int64_t next,
                        const std::vector<Sample>& samples);
  Result<int64_t> log_position(const std::string& stream);

  // Aggregates of each period that holds a value, oldest first.
  Result<std::vector<Aggregate>> statistics(const StatisticsQuery& query);

  // The last value of each series of the dimension since then, by name.
  Result<std::vector<FinalValue>> final_values(const Dimension& dimension, Time since);

  // Series behind `after` in the order of their numbers.
  Result<std::vector<Series>> series(int64_t after, size_t limit);

  // Thins what has aged. add() does it now and then.
  Result<> roll_up();

 private:
  struct State {
    db::Database database;
    Time rolled_up;
  };
  MetricStore(db::Database database, const Clock& clock)
      : clock_(clock), state_(State{std::move(database), {}}) {}

  const Clock& clock_;
  Guarded<State> state_;
};

}  // namespace trainyard::metrics
