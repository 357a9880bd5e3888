# SPDX-License-Identifier: Apache-2.0
# Every target of ours links trainyard_warnings; libraries from outside are SYSTEM and stay quiet.
add_library(trainyard_warnings INTERFACE)
target_compile_options(trainyard_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Werror)
# GCC bug 105651: std::string concatenation draws a false -Wrestrict at -O2. Fixed in GCC 13.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(trainyard_warnings INTERFACE -Wno-restrict)
endif()
