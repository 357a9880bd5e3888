// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace trainyard {

// s3://bucket/key. The key may be empty, and is taken byte for byte: "//" and ".." stay.
struct S3Uri {
  std::string bucket;
  std::string key;

  static Result<S3Uri> parse(std::string_view text);
  std::string text() const { return "s3://" + bucket + "/" + key; }

  // The URI of something below: exactly one '/' between the two.
  S3Uri join(std::string_view relative) const;
};

}  // namespace trainyard
