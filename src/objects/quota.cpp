// SPDX-License-Identifier: Apache-2.0
#include "objects/quota.hpp"

#include "base/text.hpp"

namespace trainyard::objects {

Answer<> Quota::Share::grow_to(uint64_t bytes) {
  if (!quota_->is_limited() || bytes <= bytes_) return {};
  uint64_t more = bytes - bytes_;
  uint64_t used = quota_->used_;
  do {
    if (used > quota_->limit_ || more > quota_->limit_ - used) {
      return refuse(
          "QuotaExceeded",
          fmt::format("The store holds {} of the {} that store-quota allows, and this "
                      "needs {} more. Remove objects or raise store-quota.",
                      format_bytes(used), format_bytes(quota_->limit_), format_bytes(more)));
    }
  } while (!quota_->used_.compare_exchange_weak(used, used + more));
  bytes_ = bytes;
  return {};
}

void Quota::Share::force(uint64_t bytes) {
  if (!quota_->is_limited()) return;
  quota_->used_ += bytes;
  bytes_ += bytes;
}

}  // namespace trainyard::objects
