// SPDX-License-Identifier: Apache-2.0
// [s3.remotes.<name>] of the configuration file: buckets that live in another S3 service.
#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "model/remote_s3.hpp"

namespace trainyard {

// The remotes of the file, in its order. A key that means nothing is `invalid` and named. Values
// "env:NAME" are taken from the service's environment, so that no secret needs to be in the file.
Result<std::vector<RemoteS3>> read_remotes(const fs::path& file);

// An example as comments, for --print-config.
std::string remotes_example();

}  // namespace trainyard
