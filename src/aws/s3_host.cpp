// SPDX-License-Identifier: Apache-2.0
#include "aws/s3_host.hpp"

#include "base/text.hpp"

namespace trainyard::aws {

std::string bucket_of_host(std::string_view host) {
  std::string name = to_lower(host.substr(0, host.rfind(':')));
  for (std::string_view suffix : {".localhost", ".amazonaws.com"}) {
    if (!name.ends_with(suffix)) continue;
    name.resize(name.size() - suffix.size());
    if (suffix == ".localhost") return name;
    // The last ones: a bucket may be named "a.s3.b". After the name come at most a dualstack and a
    // region, and neither contains "s3".
    size_t dot = (name + ".").rfind(".s3.");
    size_t dash = name.rfind(".s3-");
    size_t at = dot == std::string::npos ? dash : dot;
    return at == std::string::npos ? "" : name.substr(0, at);
  }
  return "";
}

}  // namespace trainyard::aws
