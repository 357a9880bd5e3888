// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/file.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

struct UploadedFiles {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

// Uploads the regular files below `folder` (what links lead to is not) as objects below `prefix`,
// several at once; large ones in parts. The first error ends it; objects that were complete by then
// stay. A file that vanished meanwhile is left out. `client` gives access and the stop token.
Result<UploadedFiles> upload_folder(S3Client& client, const fs::path& folder, const S3Uri& prefix);

}  // namespace trainyard::transfer
