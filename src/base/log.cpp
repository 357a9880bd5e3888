// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <unistd.h>

#include <atomic>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace trainyard::log {

namespace {

// The log sink is the one global of the program.
std::atomic<Level> minimum_level = Level::info;

constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"\n\r\t=") != std::string_view::npos;
}

std::string in_quotes(std::string_view value) {
  std::string result = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace

void set_level(Level level) {
  minimum_level = level;
}

void write(Level level, std::string_view event, Fields fields) {
  if (level < minimum_level.load(std::memory_order_relaxed)) return;
  std::string line = fmt::format("{} {} {}", format_iso8601(SystemClock().now()),
                                 kNames[static_cast<int>(level)], event);
  for (const Field& field : fields) {
    line += fmt::format(" {}={}", field.key,
                        needs_quotes(field.value) ? in_quotes(field.value) : field.value);
  }
  line += '\n';
  // One write(2) per line keeps lines whole. A log that cannot be written has nowhere to complain.
  static_cast<void>(write_all(STDERR_FILENO, line));
}

}  // namespace trainyard::log
