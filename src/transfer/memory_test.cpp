// SPDX-License-Identifier: Apache-2.0
#include "transfer/memory.hpp"

#include <gtest/gtest.h>

#include "transfer/part_file.hpp"

namespace trainyard::transfer {

TEST(Memory, that_is_available_is_found_in_what_the_kernel_says) {
  EXPECT_EQ(parse_available("MemTotal: 9 kB\nMemAvailable:   24068 kB\nBuffers: 7 kB\n"),
            24068u * 1024);
  EXPECT_EQ(parse_available("MemAvailable: 0 kB"), 0u);
  for (const char* text :
       {"", "MemTotal: 9 kB\n", "MemAvailable:", "MemAvailable: \n", "MemAvailable: -1 kB",
        "MemAvailable: 12 MB", "MemAvailable: 99999999999999999999 kB",
        "MemAvailable: 18446744073709551615 kB", "XMemAvailable: 5 kB"}) {
    EXPECT_FALSE(parse_available(text)) << text;
  }
  auto available = available_memory();
  ASSERT_TRUE(available);
  EXPECT_GT(*available, 1u << 20);
}

TEST(Memory, for_writes_past_the_page_cache_is_aligned) {
  Buffer buffer = make_buffer(1 << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.get()) % kBlockBytes, 0u);
}

}  // namespace trainyard::transfer
