# SPDX-License-Identifier: Apache-2.0
# Every target of ours links trainyard_warnings; libraries from outside are SYSTEM and stay quiet.
add_library(trainyard_warnings INTERFACE)
target_compile_options(trainyard_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Werror)
