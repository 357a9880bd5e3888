// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "db/database.hpp"

namespace trainyard::db {

// A prepared statement with its parameters:
//
//   auto row = database.prepare("SELECT size FROM object WHERE bucket = ? AND key = ?");
//   row.bind(bucket).bind_blob(key);
//   while (TRY(row.step())) use(row.integer(0));
//
// Parameters are bound in order, columns counted from 0. It must not outlive its Database.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(std::string_view text);
  Statement& bind(int64_t number);
  Statement& bind(double number);
  Statement& bind_blob(std::string_view bytes);
  Statement& bind_null();
  Statement& bind(const char* text) { return bind(std::string_view(text)); }
  Statement& bind(const std::string& text) { return bind(std::string_view(text)); }
  template <std::integral Number>
  Statement& bind(Number number) {
    return bind(static_cast<int64_t>(number));
  }
  template <class T>
  Statement& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }

  // True when there is a row, false at the end. A broken UNIQUE or other constraint is `conflict`,
  // a full disk `exhausted`.
  Result<bool> step();

  // For INSERT, UPDATE, DELETE: runs to the end.
  Result<> run();

  std::string text(int column) const;  // also for blobs; empty for NULL
  int64_t integer(int column) const;   // 0 for NULL
  double real(int column) const;       // 0 for NULL
  bool is_null(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<int64_t> optional_integer(int column) const;

 private:
  friend class Database;
  Statement(Database& database, std::string sql, sqlite3_stmt* compiled);

  Database* database_;
  std::string sql_;
  sqlite3_stmt* compiled_;
  int bound_ = 0;
};

}  // namespace trainyard::db
