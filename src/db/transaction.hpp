// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "db/database.hpp"

namespace trainyard::db {

// BEGIN IMMEDIATE … COMMIT; rolled back when it is destroyed without commit().
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);

  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Result<> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // null once finished
};

// Until it is destroyed all statements see the database as it was at the first of them. Statements
// must end before it.
class Snapshot {
 public:
  static Result<Snapshot> begin(Database& database);

  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&&) = delete;
  ~Snapshot();

 private:
  explicit Snapshot(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace trainyard::db
