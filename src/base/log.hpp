// SPDX-License-Identifier: Apache-2.0
// One line per event on standard error:
//
//   log::info("job started", {{"job", name}, {"pid", pid}});
//   2026-11-24T03:56:35.123Z info job started job=digits-1 pid=4711
//
// Thread-safe. Nothing secret may be a value.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace trainyard::log {

enum class Level { debug, info, warn, error };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}
  template <std::integral Number>
  Field(std::string_view field_key, Number number)
      : key(field_key), value(fmt::format("{}", number)) {}
};

using Fields = std::initializer_list<Field>;

// Lines below `level` are dropped; the default is info.
void set_level(Level level);

void write(Level level, std::string_view event, Fields fields);

inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::debug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) {
  write(Level::info, event, fields);
}
inline void warn(std::string_view event, Fields fields = {}) {
  write(Level::warn, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::error, event, fields);
}

}  // namespace trainyard::log
