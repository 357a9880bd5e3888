// SPDX-License-Identifier: Apache-2.0
#include "agent/requirements.hpp"

#include <gtest/gtest.h>

namespace trainyard::agent {

TEST(Requirements, names_versions_and_markers_are_plain) {
  EXPECT_EQ(plain_requirements("# c\r\nsix==1.16.0  # why\r\n\n"
                               "Pillow[extra] >= 9, <11 ; python_version < '3.13'\n"),
            "six==1.16.0\nPillow[extra] >= 9, <11 ; python_version < '3.13'\n");
  EXPECT_EQ(plain_requirements(""), "");
}

TEST(Requirements, whatever_reaches_for_files_or_hosts_is_not) {
  for (const char* line :
       {"-r /etc/shadow", "--index-url http://x", "six @ file:///etc/shadow", "./local", "/abs",
        "git+https://x/y", "six --hash=sha256:00", "six -r /etc/shadow", "six-1.0.whl", "a.tar.gz",
        "\\\\share", "six\\", "$HOME", "sm\xc3\xb6r"}) {
    EXPECT_FALSE(plain_requirements(line)) << line;
  }
}

}  // namespace trainyard::agent
