// SPDX-License-Identifier: Apache-2.0
#include "model/s3_uri.hpp"

#include <algorithm>

namespace trainyard {

Result<S3Uri> S3Uri::parse(std::string_view text) {
  constexpr std::string_view kScheme = "s3://";
  if (!text.starts_with(kScheme))
    return fail(Code::invalid, "'{}' does not start with s3://", text);
  std::string_view rest = text.substr(kScheme.size());
  size_t slash = std::min(rest.find('/'), rest.size());
  if (slash == 0) return fail(Code::invalid, "'{}' names no bucket", text);
  std::string_view key = slash < rest.size() ? rest.substr(slash + 1) : std::string_view();
  return S3Uri{std::string(rest.substr(0, slash)), std::string(key)};
}

S3Uri S3Uri::join(std::string_view relative) const {
  bool needs_slash = !key.empty() && !key.ends_with('/');
  return S3Uri{bucket, key + (needs_slash ? "/" : "") + std::string(relative)};
}

}  // namespace trainyard
