// SPDX-License-Identifier: Apache-2.0
#include "hydrate/chunk_map.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace trainyard::hydrate {
namespace {

TEST(ChunkMap, CoversABytesRangeOnceAllItsChunksAreThere) {
  auto map = ChunkMap::make({0, 1, 3 * kChunkBytes + 5});
  ASSERT_TRUE(map);
  EXPECT_EQ(map->chunk_count(0), 0u);
  EXPECT_EQ(map->chunk_count(1), 1u);
  EXPECT_EQ(map->chunk_count(2), 4u);
  EXPECT_TRUE(map->covers(0, 0, 100));  // nothing to come
  EXPECT_FALSE(map->covers(1, 0, 1));
  EXPECT_TRUE(map->covers(1, 1, 4095));  // behind the end
  EXPECT_TRUE(map->covers(1, 0, 0));
  map->set_present(2, 1);
  EXPECT_TRUE(map->covers(2, kChunkBytes, kChunkBytes));
  EXPECT_FALSE(map->covers(2, kChunkBytes, kChunkBytes + 1));
  EXPECT_FALSE(map->covers(2, kChunkBytes - 1, 2));
  map->set_present(2, 3);
  EXPECT_TRUE(map->covers(2, 3 * kChunkBytes, UINT64_MAX));
  EXPECT_EQ(map->covered_until(2, kChunkBytes + 5, 3 * kChunkBytes), 2 * kChunkBytes);
  EXPECT_EQ(map->covered_until(2, 7, 9), 7u);
  EXPECT_EQ(map->covered_until(2, 3 * kChunkBytes + 1, 100), 3 * kChunkBytes + 5);
  EXPECT_EQ(map->covered_until(1, 10, 5), 15u);
  EXPECT_FALSE(map->is_present(1, 0));  // neighbours in memory
}

TEST(ChunkMap, AFileIsWholeWithItsLastChunk) {
  auto map = ChunkMap::make({2 * kChunkBytes, 0});
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->is_whole(1));
  map->set_present(0, 1);
  map->set_present(0, 1);
  EXPECT_FALSE(map->is_whole(0));
  EXPECT_EQ(map->gained(0), 1u);
  map->set_present(0, 0);
  EXPECT_TRUE(map->is_whole(0));
  EXPECT_EQ(map->gained(), 2u);
}

TEST(ChunkMap, OutlivesTheProcessThatFilledIt) {
  auto map = ChunkMap::make({kChunkBytes, kChunkBytes});
  ASSERT_TRUE(map);
  pid_t child = ::fork();
  if (child == 0) {
    map->set_present(1, 0);
    map->set_status(1, FileStatus::complete);
    ::raise(SIGKILL);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(map->is_present(1, 0));
  EXPECT_EQ(map->status(1), FileStatus::complete);
  EXPECT_FALSE(map->is_present(0, 0));
  EXPECT_EQ(map->status(0), FileStatus::lazy);
}

}  // namespace
}  // namespace trainyard::hydrate
