// SPDX-License-Identifier: Apache-2.0
#include "db/database.hpp"

#include <sqlite3.h>

#include "base/check.hpp"
#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::db {

namespace {

Code code_of(int sqlite_result) {
  switch (sqlite_result & 0xff) {
    case SQLITE_CONSTRAINT:
      return Code::conflict;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::unavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return Code::exhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return Code::denied;
    case SQLITE_CANTOPEN:
      return Code::not_found;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return Code::invalid;
    default:
      return Code::internal;
  }
}

Failure fail_sqlite(sqlite3* handle, int result) {
  return fail(code_of(result), "database: {}",
              handle == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle));
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close(handle);
}
void Database::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Database::Database(sqlite3* handle) : handle_(handle) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() {
  idle_statements_.clear();  // before the connection they belong to
}

Result<Database> Database::open(const std::filesystem::path& path, Durability durability,
                                std::span<const std::string_view> migrations) {
  // Statistics that nobody asks for take a lock of all threads for each piece of memory. It is an
  // error, and no matter, once SQLite is in use.
  static const int without_statistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(without_statistics);
  sqlite3* handle = nullptr;
  int result =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  auto doing = fmt::format("opening {}", path.string());
  if (result != SQLITE_OK) {
    return Failure(std::move(fail_sqlite(handle, result).value()).within(doing));
  }
  sqlite3_busy_timeout(handle, 10'000);
  auto configured = database.execute(
      "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-16000;");  // KiB
  if (!configured) return Failure(std::move(configured).error().within(doing));
  TRY(database.execute(durability == Durability::power_loss ? "PRAGMA synchronous=FULL"
                                                            : "PRAGMA synchronous=NORMAL"));
  auto migrated = database.migrate(migrations);
  if (!migrated) return Failure(std::move(migrated).error().within(doing));
  return database;
}

Result<Database> Database::open_to_read(const std::filesystem::path& path, size_t version) {
  sqlite3* handle = nullptr;
  int result =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  auto doing = fmt::format("opening {}", path.string());
  if (result != SQLITE_OK) {
    return Failure(std::move(fail_sqlite(handle, result).value()).within(doing));
  }
  sqlite3_busy_timeout(handle, 10'000);
  // The first access to the file: prepare() takes an error for a bug.
  auto read = database.execute("PRAGMA user_version");
  if (!read) return Failure(std::move(read).error().within(doing));
  auto row = database.prepare("PRAGMA user_version");
  TRY(row.step());
  auto found = static_cast<size_t>(row.integer(0));
  if (found != version) {
    return fail(Code::conflict, "{}: its schema is {}, this program's {}; take the service's own",
                doing, found, version);
  }
  return database;
}

Result<> Database::migrate(std::span<const std::string_view> migrations) {
  size_t version = 0;
  {
    auto current = prepare("PRAGMA user_version");
    TRY(current.step());
    version = static_cast<size_t>(current.integer(0));
  }  // a statement that is not done locks tables and indexes against DROP
  if (version > migrations.size()) {
    return fail(Code::conflict,
                "it was written by a newer trainyard (schema {}, this program knows {}); "
                "start that version, or another --data-dir",
                version, migrations.size());
  }
  for (; version < migrations.size(); ++version) {
    auto transaction = TRY(Transaction::begin(*this));
    TRY(execute(migrations[version]));
    TRY(execute(fmt::format("PRAGMA user_version={}", version + 1)));
    TRY(transaction.commit());
  }
  return {};
}

Result<> Database::execute(std::string_view sql) {
  int result = sqlite3_exec(handle_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return fail_sqlite(handle_.get(), result);
  return {};
}

Statement Database::prepare(std::string_view sql) {
  std::string key(sql);
  if (auto found = idle_statements_.find(key); found != idle_statements_.end()) {
    sqlite3_stmt* compiled = found->second.release();
    idle_statements_.erase(found);
    return Statement(*this, std::move(key), compiled);
  }
  sqlite3_stmt* compiled = nullptr;
  int result = sqlite3_prepare_v2(handle_.get(), key.c_str(), static_cast<int>(key.size()),
                                  &compiled, nullptr);
  CHECK(result == SQLITE_OK, sqlite3_errmsg(handle_.get()));
  return Statement(*this, std::move(key), compiled);
}

void Database::give_back(const std::string& sql, sqlite3_stmt* statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  auto [place, inserted] = idle_statements_.try_emplace(sql);
  place->second.reset(statement);
}

int64_t Database::last_insert_rowid() const {
  return sqlite3_last_insert_rowid(handle_.get());
}
int64_t Database::changes() const {
  return sqlite3_changes64(handle_.get());
}

Statement::Statement(Database& database, std::string sql, sqlite3_stmt* compiled)
    : database_(&database), sql_(std::move(sql)), compiled_(compiled) {}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      sql_(std::move(other.sql_)),
      compiled_(std::exchange(other.compiled_, nullptr)),
      bound_(other.bound_) {}

Statement::~Statement() {
  if (compiled_ != nullptr) database_->give_back(sql_, compiled_);
}

Statement& Statement::bind(std::string_view text) {
  int result = sqlite3_bind_text64(compiled_, ++bound_, text.data() ? text.data() : "", text.size(),
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
  CHECK(result == SQLITE_OK, "a parameter for each value");
  return *this;
}

Statement& Statement::bind_blob(std::string_view bytes) {
  int result = sqlite3_bind_blob64(compiled_, ++bound_, bytes.data() ? bytes.data() : "",
                                   bytes.size(), SQLITE_TRANSIENT);
  CHECK(result == SQLITE_OK, "a parameter for each value");
  return *this;
}

Statement& Statement::bind(int64_t number) {
  int result = sqlite3_bind_int64(compiled_, ++bound_, number);
  CHECK(result == SQLITE_OK, "a parameter for each value");
  return *this;
}

Statement& Statement::bind(double number) {
  int result = sqlite3_bind_double(compiled_, ++bound_, number);
  CHECK(result == SQLITE_OK, "a parameter for each value");
  return *this;
}

Statement& Statement::bind_null() {
  int result = sqlite3_bind_null(compiled_, ++bound_);
  CHECK(result == SQLITE_OK, "a parameter for each value");
  return *this;
}

Result<bool> Statement::step() {
  int result = sqlite3_step(compiled_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return fail_sqlite(database_->handle_.get(), result);
}

Result<> Statement::run() {
  while (TRY(step())) {
  }
  return {};
}

std::string Statement::text(int column) const {
  auto* bytes = static_cast<const char*>(sqlite3_column_blob(compiled_, column));
  auto size = static_cast<size_t>(sqlite3_column_bytes(compiled_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(compiled_, column);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(compiled_, column) == SQLITE_NULL;
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(compiled_, column);
}
std::optional<int64_t> Statement::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

Result<Transaction> Transaction::begin(Database& database) {
  TRY(database.execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ != nullptr) static_cast<void>(database_->execute("ROLLBACK"));
}

Result<> Transaction::commit() {
  TRY(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

Result<Snapshot> Snapshot::begin(Database& database) {
  TRY(database.prepare("BEGIN").run());
  return Snapshot(database);
}

Snapshot::Snapshot(Snapshot&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Snapshot::~Snapshot() {
  if (database_ != nullptr) static_cast<void>(database_->prepare("ROLLBACK").run());
}

}  // namespace trainyard::db
