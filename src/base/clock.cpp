// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <fmt/format.h>

#include <ctime>

namespace trainyard {

namespace {

std::tm to_utc(Time time) {
  std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return utc;
}

std::string format(Time time, const char* pattern) {
  std::tm utc = to_utc(time);
  char buffer[64];
  return std::string(buffer, std::strftime(buffer, sizeof buffer, pattern, &utc));
}

std::optional<Time> parse(std::string_view text, const char* pattern) {
  std::string copy(text);
  std::tm utc{};
  const char* end = strptime(copy.c_str(), pattern, &utc);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return Time(std::chrono::seconds(timegm(&utc)));
}

constexpr const char* kHttpDate = "%a, %d %b %Y %H:%M:%S GMT";
constexpr const char* kAmzDate = "%Y%m%dT%H%M%SZ";

}  // namespace

Time SystemClock::now() const {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

int64_t to_epoch_ms(Time time) {
  return time.time_since_epoch().count();
}

Time from_epoch_ms(int64_t epoch_ms) {
  return Time(std::chrono::milliseconds(epoch_ms));
}

std::string format_iso8601(Time time) {
  auto second = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{}.{:03}Z", format(time, "%Y-%m-%dT%H:%M:%S"), (time - second).count());
}

std::string format_http_date(Time time) {
  return format(time, kHttpDate);
}
std::optional<Time> parse_http_date(std::string_view text) {
  return parse(text, kHttpDate);
}
std::string format_amz_date(Time time) {
  return format(time, kAmzDate);
}
std::optional<Time> parse_amz_date(std::string_view text) {
  // strptime would take single digits too.
  if (text.size() != 16) return std::nullopt;
  return parse(text, kAmzDate);
}

}  // namespace trainyard
