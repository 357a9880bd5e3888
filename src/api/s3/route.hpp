// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "http/message.hpp"
#include "objects/object_store.hpp"

namespace trainyard::api::s3 {

// Answers one S3 request whose signature holds. `body` is the verified one.
http::Response handle(const http::Request& request, http::Body& body, objects::ObjectStore& store,
                      const std::string& region, const std::string& request_id);

}  // namespace trainyard::api::s3
