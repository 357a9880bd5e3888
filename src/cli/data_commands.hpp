// SPDX-License-Identifier: Apache-2.0
// The commands on data sets: trainyard data inspect, push and verify. Each returns an exit status.
#pragma once

#include <string>

#include "cli/service.hpp"

namespace trainyard::cli {

struct InspectOptions {
  std::string uri;      // s3://bucket/prefix, matched as channels match it
  size_t examples = 3;  // values shown of each feature
  size_t jobs = 4;      // objects read at once
  bool as_json = false;
};
// What is in a data set: shards, records, features, damage. Status 1: something is damaged or
// cannot be read.
Result<int> inspect_data(Service& service, const InspectOptions& options);

struct PushOptions {
  std::string folder;
  std::string uri;
  bool deletes = false;        // objects without a file
  bool is_dry_run = false;     // say what would be done
  bool follows_links = false;  // symbolic ones
  bool makes_bucket = false;
  size_t jobs = 8;  // files sent at once
};
// Makes the objects below the URI those of the folder, and sends only what differs. Status 1: some
// file could not be sent; 130: it was interrupted, and goes on when it is run again.
Result<int> push_data(Service& service, const PushOptions& options);

struct VerifyOptions {
  std::string folder;  // empty: the objects are checked by themselves
  std::string uri;
  bool follows_links = false;
  size_t jobs = 4;
};
// Compares both sides byte for byte, or reads every object and checks its checksum and its
// TFRecords. Status 1: there are differences or damage.
Result<int> verify_data(Service& service, const VerifyOptions& options);

}  // namespace trainyard::cli
