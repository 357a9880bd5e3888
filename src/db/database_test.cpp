// SPDX-License-Identifier: Apache-2.0
#include "db/database.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/random.hpp"
#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::db {

class DatabaseTest : public testing::Test {
 protected:
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }
  Result<Database> open(std::span<const std::string_view> migrations) {
    TRY(make_directories(folder_));
    return Database::open(folder_ / "x.db", Durability::power_loss, migrations);
  }
  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
};

TEST_F(DatabaseTest, migrations_run_once_and_in_order) {
  std::string_view first[] = {"CREATE TABLE t (k BLOB PRIMARY KEY, n INTEGER)"};
  { ASSERT_TRUE(open(first)); }
  std::string_view both[] = {
      first[0], "ALTER TABLE t ADD COLUMN s TEXT; CREATE INDEX i ON t (s); DROP INDEX i"};
  { ASSERT_TRUE(open(both)); }
  { ASSERT_TRUE(open(both)); }
  EXPECT_EQ(open(first).error().code, Code::conflict) << "an older program on newer data";
}

TEST_F(DatabaseTest, rows_round_trip_with_every_byte) {
  std::string_view schema[] = {"CREATE TABLE t (k BLOB PRIMARY KEY, n INTEGER, s TEXT)"};
  Database database = open(schema).value();
  std::string key("a\0b\xff", 4);
  auto insert = [&] {
    return database.prepare("INSERT INTO t VALUES (?, ?, ?)")
        .bind_blob(key)
        .bind(7)
        .bind_null()
        .run();
  };
  ASSERT_TRUE(insert());
  EXPECT_EQ(insert().error().code, Code::conflict);
  auto row = database.prepare("SELECT k, n, s FROM t WHERE k = ?");
  row.bind_blob(key);
  ASSERT_TRUE(row.step().value());
  EXPECT_EQ(row.text(0), key);
  EXPECT_EQ(row.integer(1), 7);
  EXPECT_FALSE(row.optional_text(2));
  EXPECT_FALSE(row.step().value());
}

TEST_F(DatabaseTest, a_transaction_without_commit_leaves_nothing) {
  std::string_view schema[] = {"CREATE TABLE t (n INTEGER)"};
  Database database = open(schema).value();
  {
    auto transaction = Transaction::begin(database).value();
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  }
  auto count = database.prepare("SELECT count(*) FROM t");
  ASSERT_TRUE(count.step().value());
  EXPECT_EQ(count.integer(0), 0);
}

TEST_F(DatabaseTest, a_file_that_is_no_database_is_refused) {
  ASSERT_TRUE(make_directories(folder_));
  ASSERT_TRUE(write_file_atomically(folder_ / "x.db", std::string(4096, 'x')));
  EXPECT_EQ(open({}).error().code, Code::invalid);
}

}  // namespace trainyard::db
