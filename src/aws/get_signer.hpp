// SPDX-License-Identifier: Apache-2.0
// SigV4 for clients that send many thousand S3 requests a second: what requests have in common is
// computed once.
#pragma once

#include <string>
#include <string_view>

#include "aws/sigv4.hpp"

namespace trainyard::aws {

// Signs requests without a body and without a query that ask for checksums. Without an access key
// they only ask. Not thread-safe.
class GetSigner {
 public:
  GetSigner(Credentials credentials, std::string region)
      : credentials_(std::move(credentials)), region_(std::move(region)) {}

  // The lines x-amz-checksum-mode: ENABLED, x-amz-content-sha256, x-amz-date, x-amz-security-token
  // and Authorization, each with CRLF at its end. `host` is what the Host line says, `path` is
  // percent-encoded as it is sent. Further lines that are not x-amz-* may be added unsigned.
  std::string sign(std::string_view method, std::string_view host, std::string_view path, Time now);

 private:
  void renew_key(const std::string& date);

  Credentials credentials_;
  std::string region_;
  std::string date_;   // the day of `key_`
  std::string scope_;  // "20261124/us-west-2/s3/aws4_request"
  std::string key_;
};

}  // namespace trainyard::aws
