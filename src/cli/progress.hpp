// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace trainyard::cli {

// How far something is that moves bytes: after the first second one line on standard error, drawn
// over itself on a terminal, else a plain line every five seconds.
//
//   Uploading source  12.0 MiB of 40.0 MiB, 6.0 MiB/s, 5 s left
class Progress {
 public:
  Progress(std::string what, uint64_t total_bytes);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(uint64_t bytes);

 private:
  using Steady = std::chrono::steady_clock;

  std::string what_;
  uint64_t total_;
  uint64_t done_ = 0;
  bool is_terminal_;
  bool has_drawn_ = false;
  Steady::time_point start_;
  Steady::time_point last_;
};

// The words of that line; `seconds` since the start.
std::string progress_text(uint64_t done, uint64_t total, double seconds);

}  // namespace trainyard::cli
