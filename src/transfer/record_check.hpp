// SPDX-License-Identifier: Apache-2.0
// Looks through the files of a channel for broken TFRecords, several files at a time.
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "transfer/record_scanner.hpp"

namespace trainyard::transfer {

struct NamedFile {
  fs::path file;
  std::string name;  // what people call it: its S3 URI
};

struct CheckedFile {
  std::string name;
  RecordVerdict verdict;
};

struct UncheckedFile {
  std::string name;
  Error error;
};

// In the order in which the files were given, each of them.
struct CheckedFiles {
  std::vector<CheckedFile> broken;    // TFRecord files with a broken record
  std::vector<CheckedFile> misnamed;  // called TFRecords, hold bytes, and are none
  std::vector<UncheckedFile> unreadable;
  std::vector<NamedFile> left;  // not looked at: the budget was used up, or a stop came
  uint64_t tfrecord_files = 0;
  uint64_t records = 0;        // whole ones in them
  uint64_t scanned_bytes = 0;  // as they are on disk
};

// Looks at all files by `threads` threads, the caller's among them. Known ones cost an attribute
// each, those without records one read; of the others as many are read, in the order given, as have
// at most `budget_bytes` together. It ends soon after a stop.
CheckedFiles check_files(std::span<const NamedFile> files, uint64_t budget_bytes, size_t threads,
                         const std::stop_token& stop = {});

// "s3://b/k: record 3, at byte 1234: its data do not match their checksum; 2 more are broken"
std::string broken_text(const CheckedFile& file);

}  // namespace trainyard::transfer
