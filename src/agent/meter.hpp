// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "agent/context.hpp"

namespace trainyard::agent {

// Says how far a transfer is, in the job's log and as StatusMessage, every few seconds: bytes,
// rate, time left. Thread-safe.
class Meter {
 public:
  Meter(const Context& context, std::string what, uint64_t total_bytes);

  void add(uint64_t bytes);

 private:
  using Steady = std::chrono::steady_clock;
  const Context& context_;
  std::string what_;
  uint64_t total_;
  Steady::time_point begin_;
  std::atomic<uint64_t> done_ = 0;
  std::atomic<Steady::time_point> last_;
};

}  // namespace trainyard::agent
