// SPDX-License-Identifier: Apache-2.0
// Objects that this host has downloaded before, shared by its jobs: a second job over the same data
// moves no bytes. An entry is one plain file, verified when it was filled and never written again,
// named by what the object is: endpoint, bucket, key, ETag and size.
//
// A job uses an entry through a hard link of its own, and that link is the lease: an entry with
// more than one link is in use and is not evicted, whoever dies. Files are filled by fetch.hpp,
// which lets several processes wait for one another and goes on with what a killed one left.
// Thread-safe, and safe between processes.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>

#include "transfer/fetch.hpp"

namespace trainyard::transfer {

class HostCache {
 public:
  // `limit_bytes` bounds what nobody uses; 0: nothing is kept.
  HostCache(fs::path folder, uint64_t limit_bytes)
      : folder_(std::move(folder)), limit_bytes_(limit_bytes) {}

  // Links objects that are here to their paths; returns those that are not. Permission is the
  // caller's to check. An object without ETag is never here.
  Result<std::vector<Fetch>> link(const S3Access& access, std::span<const Fetch> wanted) const;

  // Downloads objects into the cache and links them to their paths; those that cannot be kept (no
  // ETag, larger than the limit, a path on another file system) go to their paths directly. Errors
  // and options as for fetch_all().
  Result<> fetch(const S3Access& access, std::span<const Fetch> wanted, const FetchOptions& options,
                 std::stop_token stop) const;

 private:
  fs::path entry_of(const S3Access& access, const Fetch& object) const;
  bool can_keep(const Fetch& object) const;
  // Removes what was used longest ago until `bytes` more have room within the limit.
  Result<> make_room(uint64_t bytes) const;

  fs::path folder_;
  uint64_t limit_bytes_;
};

}  // namespace trainyard::transfer
