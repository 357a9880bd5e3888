// SPDX-License-Identifier: Apache-2.0
// The presigned URLs of Signature Version 2, which boto3 still makes for S3 unless it is told s3v4.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
#pragma once

#include "aws/sigv4.hpp"

namespace trainyard::aws {

// True for "?AWSAccessKeyId=…&Signature=…&Expires=…".
bool is_sigv2_presigned(const http::Request& request);

// Requires: is_sigv2_presigned(). Path style only.
std::variant<Verified, Fault> verify_sigv2(const http::Request& request,
                                           const FindCredentials& find, Time now);

}  // namespace trainyard::aws
