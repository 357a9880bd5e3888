// SPDX-License-Identifier: Apache-2.0
// pack_probe FOLDER > ARCHIVE: what packing alone costs; the rate is on the standard error.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "transfer/archive.hpp"

int main(int count, char** arguments) {
  using namespace trainyard;
  if (count != 2) return 2;
  auto start = std::chrono::steady_clock::now();
  uint64_t read = 0;
  uint64_t made = 0;
  auto packed = transfer::pack(
      arguments[1],
      [&](std::string_view piece) {
        made += piece.size();
        return write_all(STDOUT_FILENO, piece);
      },
      [&](uint64_t bytes) { read += bytes; });
  if (!packed) {
    fmt::print(stderr, "{}\n", packed.error().message);
    return 1;
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "{:.2f} s, {:.0f} MB/s, ratio {:.3f}\n", took.count(),
             static_cast<double>(read) / took.count() / 1e6,
             static_cast<double>(read) / static_cast<double>(made));
  return 0;
}
