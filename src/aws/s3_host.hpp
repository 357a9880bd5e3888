// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace trainyard::aws {

// The bucket of a virtual-host style request to S3, "" where the bucket is in the path:
// "data" of "data.s3.us-west-2.amazonaws.com", "data.s3.amazonaws.com", "data.localhost:4600".
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
std::string bucket_of_host(std::string_view host);

}  // namespace trainyard::aws
