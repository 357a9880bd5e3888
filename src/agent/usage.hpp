// SPDX-License-Identifier: Apache-2.0
// What the job's processes use of their host, as CloudWatch names it (contract.md K.2):
// CPUUtilization in percent of one core, MemoryUtilization in percent of the job's limit or else of
// the host's memory, DiskUtilization in percent of the file system that holds the job's folder, and
// with an NVIDIA driver GPUUtilization and GPUMemoryUtilization in percent of one device.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "protocol/assignment.hpp"
#include "protocol/report.hpp"

namespace trainyard::agent {

class UsageMeter {
 public:
  // The references must outlive the meter.
  UsageMeter(const protocol::Assignment& assignment, fs::path folder, const Clock& clock)
      : assignment_(assignment), folder_(std::move(folder)), clock_(clock) {}

  // At most every few seconds, and only while the script runs; else nothing.
  std::vector<protocol::Measurement> measure();

 private:
  struct Reading {
    std::chrono::steady_clock::time_point when;
    double cpu_seconds = 0;
  };

  const protocol::Assignment& assignment_;
  fs::path folder_;
  const Clock& clock_;
  std::optional<Reading> last_;
};

}  // namespace trainyard::agent
