// SPDX-License-Identifier: Apache-2.0
// What the daemon tells while it pulls an image: a JSON object per line.
// https://docs.docker.com/engine/api/v1.41/#tag/Image/operation/ImageCreate
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace trainyard::docker {

class PullProgress {
 public:
  // Takes the bytes as they come. The daemon's own error is `not_found`, `denied` or `unavailable`;
  // lines that are no JSON are left out.
  Result<> push(std::string_view bytes);
  // What came last without an end of line.
  Result<> finish();

  uint64_t done_bytes() const;
  uint64_t total_bytes() const;  // of the layers that were begun
  // "40 % of 1.2 GiB"; "" before the first byte.
  std::string text() const;

 private:
  struct Layer {
    uint64_t done = 0;
    uint64_t total = 0;
  };
  Result<> take_line(std::string_view line);

  std::string partial_;
  std::map<std::string, Layer> layers_;
};

}  // namespace trainyard::docker
