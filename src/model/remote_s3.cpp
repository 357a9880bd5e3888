// SPDX-License-Identifier: Apache-2.0
#include "model/remote_s3.hpp"

#include <fnmatch.h>

namespace trainyard {

const RemoteS3* find_remote(const std::vector<RemoteS3>& remotes, std::string_view bucket) {
  std::string name(bucket);
  for (const RemoteS3& remote : remotes) {
    for (const std::string& pattern : remote.buckets) {
      if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return &remote;
    }
  }
  return nullptr;
}

}  // namespace trainyard
