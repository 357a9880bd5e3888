// SPDX-License-Identifier: Apache-2.0
// What the `data` commands share: many objects at once, with a progress line.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/guarded.hpp"
#include "cli/progress.hpp"
#include "cli/service.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::cli {

// Where the service keeps its data on this machine, so that objects may be read from their files.
struct DataAccess {
  transfer::S3Access s3;
  fs::path data_dir;  // empty: another machine's
};
DataAccess data_access(const Service& service);

// Calls work(i, client) for i from 0 to count - 1 by `jobs` threads with a client each; the numbers
// begin in this order. After a stop no more begin.
using Work = std::function<void(size_t index, transfer::S3Client& client)>;
void for_each(size_t count, size_t jobs, const transfer::S3Access& access,
              const std::stop_token& stop, const Work& work);

// The bytes [offset, offset + length) of an object as it was listed: from its file where that is
// on this machine and may be read, else over S3.
Result<> read_object(const DataAccess& access, transfer::S3Client& client,
                     const std::string& bucket, const transfer::ObjectSummary& object,
                     uint64_t offset, uint64_t length, const transfer::OnPiece& on_piece);

// A progress line of several threads.
class SharedProgress {
 public:
  SharedProgress(std::string what, uint64_t total_bytes)
      : progress_(std::make_unique<Progress>(std::move(what), total_bytes)) {}
  void add(uint64_t bytes) {
    progress_.with([&](std::unique_ptr<Progress>& progress) { progress->add(bytes); });
  }

 private:
  Guarded<std::unique_ptr<Progress>> progress_;
};

// "s3://bucket" or "s3://bucket/prefix", with a '/' at the end of what stands for a folder.
Result<S3Uri> parse_folder(const std::string& text);

// A key's path below the folder; nothing for folder markers.
std::string path_below(const S3Uri& folder, const std::string& key);

// "1,234,567"
std::string with_commas(uint64_t number);

}  // namespace trainyard::cli
