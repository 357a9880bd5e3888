// SPDX-License-Identifier: Apache-2.0
// SQLite in three small classes: Database, Statement (statement.hpp), Transaction
// (transaction.hpp). The only folder that includes sqlite3.h.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace trainyard::db {

class Statement;

// How much a commit survives. Both survive a kill of the process.
enum class Durability {
  power_loss,     // synchronous=FULL: acknowledged means on disk
  process_crash,  // synchronous=NORMAL: a power cut may take the last commits, never the integrity
};

// One connection in WAL mode. Not thread-safe: keep it in a Guarded<Database>.
// Invariant (1): a cached statement is handed out to one Statement at a time.
class Database {
 public:
  // Opens or creates the file and brings it to the newest schema: migrations[i] is the SQL that
  // leads from version i to i + 1 (PRAGMA user_version), each in its own transaction. A file that a
  // newer program wrote is `conflict`; one that is no database is `invalid`.
  static Result<Database> open(const std::filesystem::path& path, Durability durability,
                               std::span<const std::string_view> migrations);

  // Opens a file that another process may be writing to, only to read. A schema of another version
  // is `conflict`, no file `not_found`.
  static Result<Database> open_to_read(const std::filesystem::path& path, size_t version);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // Runs SQL without results, one or several statements.
  Result<> execute(std::string_view sql);

  // Compiles once, later calls take the compiled form from a cache. A mistake in the SQL text is a
  // bug and aborts.
  Statement prepare(std::string_view sql);

  int64_t last_insert_rowid() const;
  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t changes() const;

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Compiled = std::unique_ptr<sqlite3_stmt, Finalize>;

  explicit Database(sqlite3* handle);
  Result<> migrate(std::span<const std::string_view> migrations);
  void give_back(const std::string& sql, sqlite3_stmt* statement);

  std::unique_ptr<sqlite3, Close> handle_;
  std::unordered_map<std::string, Compiled> idle_statements_;
};

}  // namespace trainyard::db
