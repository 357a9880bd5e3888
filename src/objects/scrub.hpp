// SPDX-License-Identifier: Apache-2.0
// Looks after a store from outside of the service, which may run and write meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::objects {

struct BucketUsage {
  std::string bucket;
  uint64_t objects = 0;
  uint64_t bytes = 0;
  uint64_t unfinished_bytes = 0;  // of parts of uploads that are not complete
};

// Of the store in `folder`, the service's data dir, in order of the names.
Result<std::vector<BucketUsage>> usage(const fs::path& folder);

struct Damage {
  std::string bucket;
  std::string key;
  int part = 0;  // of an upload that is not complete; 0: an object
  fs::path file;
  std::string what;  // "is missing", "…"
};

struct ScrubReport {
  uint64_t objects = 0;  // and parts
  uint64_t bytes = 0;
  uint64_t damaged = 0;
  // Of these only the size could be compared: their checksum is one of their parts' checksums.
  uint64_t without_checksum = 0;
  // Files that no object has: uploads that run now, or did not come to their end. The latter go at
  // the service's next start.
  uint64_t stray_files = 0;
  uint64_t stray_bytes = 0;
};

struct ScrubEvents {
  std::function<void(uint64_t bytes)> on_bytes;  // read since the last call
  std::function<void(const Damage& damage)> on_damage;
};

// Reads all objects from disk (not from memory, where it can) on all cores and compares size and
// checksum, or the ETag where that is an MD5. Objects that are replaced meanwhile are no damage.
// Both functions are called by the calling thread.
Result<ScrubReport> scrub(const fs::path& folder, const ScrubEvents& events);

}  // namespace trainyard::objects
