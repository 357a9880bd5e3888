// SPDX-License-Identifier: Apache-2.0
#include "cli/shard_summary.hpp"

#include <gtest/gtest.h>

namespace trainyard::cli {

TEST(SizeCounts, a_median_is_exact_for_few_sizes_and_near_for_many) {
  SizeCounts counts;
  EXPECT_EQ(counts.median(), 0);
  for (uint64_t size : {5, 1, 9, 1}) counts.add(size);
  EXPECT_EQ(counts.median(), 1);
  counts.add(7);
  EXPECT_EQ(counts.median(), 5);
  SizeCounts many;
  for (uint64_t size = 1; size <= 1'000'000; ++size) many.add(size);
  EXPECT_FALSE(many.is_exact());
  EXPECT_NEAR(static_cast<double>(many.median()), 500'000, 32);
  counts.merge(many);
  EXPECT_NEAR(static_cast<double>(counts.median()), 500'000, 32);
}

TEST(ShardReader, records_are_measured_and_looked_into) {
  std::string bytes = transfer::framed_record("") + transfer::framed_record("no example");
  std::string broken = transfer::framed_record("broken");
  broken[13] = 'R';
  ShardReader reader(3);
  transfer::RecordScanner scanner(&reader);
  for (char c : bytes + broken) scanner.add({&c, 1});
  EXPECT_EQ(scanner.finish().records, 2);
  EXPECT_EQ(reader.smallest_bytes, 0);
  EXPECT_EQ(reader.sizes.median(), 0);
  EXPECT_EQ(reader.features.examples(), 1);
  EXPECT_EQ(reader.features.others(), 1);
  ASSERT_EQ(reader.broken_records.size(), 1);
  EXPECT_EQ(reader.broken_records[0].index, 2);
}

TEST(ShardReader, of_huge_records_only_the_size_is_kept) {
  std::string bytes = transfer::framed_record(std::string(ShardReader::kMaxRecordBytes + 1, 'x'));
  ShardReader reader(3);
  transfer::RecordScanner scanner(&reader);
  scanner.add(bytes);
  EXPECT_EQ(scanner.finish().records, 1);
  EXPECT_EQ(reader.too_large, 1);
  EXPECT_EQ(reader.sizes.median(), ShardReader::kMaxRecordBytes + 1);
  EXPECT_EQ(reader.features.examples() + reader.features.others(), 0);
}

TEST(KindOfFile, goes_by_first_bytes_then_by_the_ending) {
  EXPECT_EQ(kind_of_file("a.bin", "PAR1xxxx"), "Parquet");
  EXPECT_EQ(kind_of_file("a", "\x89PNG\r\n"), "PNG image");
  EXPECT_EQ(kind_of_file("x/a.CSV", "1,2"), "*.csv");
  EXPECT_EQ(kind_of_file("x.y/a", ""), "no ending");
  EXPECT_EQ(kind_of_file(".hidden", ""), "no ending");
}

TEST(NotesOnShards, are_made_of_large_data_only) {
  EXPECT_TRUE(notes_on_shards({}).empty());
  EXPECT_TRUE(notes_on_shards({1000, 10, 10}).empty());
  EXPECT_EQ(notes_on_shards({1 << 20, 10, 10}).size(), 1);
  EXPECT_EQ(notes_on_shards({64 << 20}).size(), 1);
  EXPECT_TRUE(notes_on_shards(std::vector<uint64_t>(8, 64 << 20)).empty());
}

}  // namespace trainyard::cli
