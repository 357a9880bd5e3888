// SPDX-License-Identifier: Apache-2.0
// Why a script failed, from evidence alone: what the kernel counted, what the script printed, what
// lies on the disk. Where there is none, nothing is guessed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::agent {

struct Evidence {
  int exit_code = 1;   // 128 + signal where a signal ended it
  std::string output;  // the end of what the script printed
  std::string memory;  // "killed for memory: …", the kernel's own count; empty: it was not
  std::optional<uint64_t> free_bytes;  // on the job's disk, when the script had ended
  std::vector<std::string> channels;   // names
  std::string broken_record;  // "s3://b/k: record 3, at byte 512: …"; empty: none was found
};

struct Diagnosis {
  std::string cause;   // one line: "ValueError: bad rate (train.py:12 in main)"
  std::string detail;  // what the script printed about it, cause included; may have many lines
  std::string advice;  // what to do next; empty: the cause says it all

  // For people: all of it, line by line.
  std::string text() const;
};

Diagnosis diagnose(const Evidence& evidence);

// TensorFlow's reader found a file broken.
struct DataLoss {
  // "corrupted record at 512", "truncated record at 512": bytes of the uncompressed file.
  std::optional<uint64_t> offset;
};

// nullopt: the script did not end so.
std::optional<DataLoss> find_data_loss(std::string_view output);

}  // namespace trainyard::agent
