// SPDX-License-Identifier: Apache-2.0
#include "transfer/tfrecord.hpp"

#include "transfer/record_verdict.hpp"

namespace trainyard::transfer {

Result<std::optional<BrokenRecord>> find_broken_record(const fs::path& file) {
  auto verdict = TRY(scan_file(file));
  if (verdict.why_not.empty()) return verdict.first_broken;
  return BrokenRecord{0, 0, verdict.why_not};
}

}  // namespace trainyard::transfer
