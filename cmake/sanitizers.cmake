# SPDX-License-Identifier: Apache-2.0
set(TRAINYARD_SANITIZE "" CACHE STRING "sanitizers for all targets, such as address,undefined")
if(TRAINYARD_SANITIZE)
  add_compile_options(-fsanitize=${TRAINYARD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRAINYARD_SANITIZE})
endif()
