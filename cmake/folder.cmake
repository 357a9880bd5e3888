# SPDX-License-Identifier: Apache-2.0
include(GoogleTest)

# trainyard_folder(NAME LINKS...): the folder is one static library, trainyard_NAME, made of its .cpp files (those of
# its subfolders too). Files named *_test.cpp make the program NAME_test, files named *_fuzz.cpp one fuzzer each.
function(trainyard_folder name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  set(tests ${sources})
  set(fuzzers ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")

  add_library(trainyard_${name} STATIC ${sources})
  target_include_directories(trainyard_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(trainyard_${name} PUBLIC ${ARGN} PRIVATE trainyard_warnings)

  if(TRAINYARD_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_compile_definitions(${name}_test PRIVATE TRAINYARD_ROOT="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name}_test PRIVATE trainyard_${name} trainyard_warnings GTest::gtest_main)
    gtest_discover_tests(${name}_test PROPERTIES TIMEOUT 120)
  endif()
  if(TRAINYARD_FUZZERS)
    # Coverage of the code itself guides the fuzzers.
    target_compile_options(trainyard_${name} PRIVATE -fsanitize=fuzzer-no-link)
    foreach(fuzzer IN LISTS fuzzers)
      get_filename_component(program ${fuzzer} NAME_WE)
      add_executable(${program} ${fuzzer})
      target_compile_options(${program} PRIVATE -fsanitize=fuzzer)
      target_link_options(${program} PRIVATE -fsanitize=fuzzer)
      target_link_libraries(${program} PRIVATE trainyard_${name})
    endforeach()
  endif()
endfunction()
