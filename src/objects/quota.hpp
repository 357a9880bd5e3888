// SPDX-License-Identifier: Apache-2.0
// How many bytes the store may hold. Internal to objects/.
#pragma once

#include <atomic>
#include <cstdint>

#include "objects/object_store.hpp"

namespace trainyard::objects {

// Counts the bytes of objects, of parts and of what is just being written. Thread-safe.
class Quota {
 public:
  // `limit_bytes` 0: none, and nothing is counted.
  Quota(uint64_t limit_bytes, uint64_t used_bytes) : limit_(limit_bytes), used_(used_bytes) {}
  Quota(const Quota& other) : limit_(other.limit_), used_(other.used_.load()) {}

  bool is_limited() const { return limit_ > 0; }
  void give_back(uint64_t bytes) {
    if (is_limited()) used_ -= bytes;
  }

  // The bytes of one upload, given back unless it is kept.
  class Share {
   public:
    explicit Share(Quota& quota) : quota_(&quota) {}
    Share(Share&& other) noexcept
        : quota_(other.quota_), bytes_(std::exchange(other.bytes_, uint64_t{0})) {}
    Share& operator=(Share&&) = delete;
    ~Share() { quota_->give_back(bytes_); }

    // Makes the share at least so large: QuotaExceeded.
    Answer<> grow_to(uint64_t bytes);
    // The same for bytes that are given back soon: the parts of an object.
    void force(uint64_t bytes);
    void keep() { bytes_ = 0; }

   private:
    Quota* quota_;
    uint64_t bytes_ = 0;
  };

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_;
};

}  // namespace trainyard::objects
