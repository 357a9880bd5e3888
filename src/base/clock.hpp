// SPDX-License-Identifier: Apache-2.0
// Time as a dependency: code that asks for the time takes a Clock, so that tests can hold it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

// Wall-clock time in milliseconds since 1970-01-01 UTC, the resolution of the API.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

class SystemClock : public Clock {
 public:
  Time now() const override;
};

// Stands still until it is moved. Thread-safe.
class FakeClock : public Clock {
 public:
  explicit FakeClock(int64_t epoch_ms = 1'700'000'000'000) : now_ms_(epoch_ms) {}
  Time now() const override { return Time(std::chrono::milliseconds(now_ms_.load())); }
  void advance(std::chrono::milliseconds by) { now_ms_ += by.count(); }

 private:
  std::atomic<int64_t> now_ms_;
};

int64_t to_epoch_ms(Time time);
Time from_epoch_ms(int64_t epoch_ms);

// "2026-11-24T03:56:35.123Z"
std::string format_iso8601(Time time);
// The same with or without fraction and with "Z", an offset or nothing (UTC) at the end.
std::optional<Time> parse_iso8601(std::string_view text);
// "Tue, 24 Nov 2026 03:56:35 GMT" (RFC 9110, 5.6.7)
std::string format_http_date(Time time);
std::optional<Time> parse_http_date(std::string_view text);
// "20261124T035635Z", the form of X-Amz-Date
std::string format_amz_date(Time time);
std::optional<Time> parse_amz_date(std::string_view text);

}  // namespace trainyard
