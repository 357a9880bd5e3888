// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/text.hpp"

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
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<Time> parse_iso8601(std::string_view text) {
  constexpr size_t kSecondsEnd = 19;  // "2026-11-24T03:56:35"
  auto time = parse(text.substr(0, kSecondsEnd), "%Y-%m-%dT%H:%M:%S");
  if (!time || text.size() < kSecondsEnd) return std::nullopt;
  text.remove_prefix(kSecondsEnd);
  if (text.starts_with('.')) {
    size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
    std::string digits(text.substr(1, std::min<size_t>(end - 1, 3)));
    digits.resize(3, '0');
    auto fraction = parse_unsigned(digits);
    if (!fraction) return std::nullopt;
    *time += std::chrono::milliseconds(*fraction);
    text.remove_prefix(end);
  }
  if (text.empty() || text == "Z") return time;
  bool is_ahead = text.front() == '+';
  bool has_offset = text.size() == 6 && (is_ahead || text.front() == '-') && text[3] == ':';
  auto hours = has_offset ? parse_unsigned(text.substr(1, 2)) : std::nullopt;
  auto minutes = has_offset ? parse_unsigned(text.substr(4, 2)) : std::nullopt;
  if (!hours || !minutes) return std::nullopt;
  auto offset = std::chrono::minutes(static_cast<int64_t>(*hours * 60 + *minutes));
  return is_ahead ? *time - offset : *time + offset;
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
