// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/s3_uri.hpp"

namespace trainyard::transfer {

// The objects that a manifest (S3DataType ManifestFile) names, in its order.
// https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
struct ManifestKeys {
  S3Uri prefix;  // the key may be empty, or end within a name
  // What follows the prefix, byte for byte: object i is in prefix.bucket under prefix.key +
  // paths[i], and paths[i] is its path on the instance (contract.md F.2). Not safe to open: it is
  // as hostile as the manifest's author.
  std::vector<std::string> paths;
};

// [{"prefix": "s3://bucket/some/prefix/"}, "relative/path", …]. `invalid`, with the number of the
// element counted from 1, for anything else. A name that comes twice stays twice.
Result<ManifestKeys> parse_manifest(std::string_view text);

}  // namespace trainyard::transfer
