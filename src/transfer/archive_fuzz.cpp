// SPDX-License-Identifier: Apache-2.0
// Archives of anybody's making: whatever they hold, nothing is written outside of the folder.
#include "base/check.hpp"
#include "base/random.hpp"
#include "transfer/archive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  static const fs::path kRoot = fs::temp_directory_path() / ("trainyard-fuzz-" + random_hex(8));
  fs::path file = kRoot / "archive";
  CHECK(make_directories(kRoot / "out"), "a folder to write in");
  CHECK(write_file_atomically(file, {reinterpret_cast<const char*>(data), size}), "a file");
  static_cast<void>(transfer::unpack(file, kRoot / "out"));
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    CHECK(entry.path() == file || entry.path() == kRoot / "out", "nothing outside of the folder");
  }
  CHECK(remove_tree(kRoot), "the folder goes");
  return 0;
}
