// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <gtest/gtest.h>

namespace trainyard::cli {

TEST(Progress, says_how_far_how_fast_and_how_long_still) {
  EXPECT_EQ(progress_text(12 << 20, 40 << 20, 2), "12.0 MiB of 40.0 MiB, 6.0 MiB/s, 5 s left");
  EXPECT_EQ(progress_text(40 << 20, 40 << 20, 4), "40.0 MiB of 40.0 MiB, 10.0 MiB/s");
  EXPECT_EQ(progress_text(0, 40 << 20, 0), "0 B of 40.0 MiB, 0 B/s");
}

}  // namespace trainyard::cli
