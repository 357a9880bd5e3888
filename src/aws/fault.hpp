// SPDX-License-Identifier: Apache-2.0
// What a client is told when a request fails: AWS's error code, HTTP status and a text. All codes
// that the product sends stand in one table, fault.cpp.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/message.hpp"

namespace trainyard::aws {

struct Fault {
  std::string code;     // "NoSuchKey", "ValidationException", …; a code of the table in fault.cpp
  std::string message;  // for people
};

// The HTTP status of a fault code; a code that is not in the table is a bug.
int status_of(std::string_view code);

// The dialects of contract.md A.3.
enum class Dialect { json, query, cbor, s3 };

// The answer that carries the fault. `resource` is the path, for S3; `request_id` goes into the
// body and the x-amzn-RequestId / x-amz-request-id header.
http::Response to_response(const Fault& fault, Dialect dialect, std::string_view resource,
                           std::string_view request_id);

// An Error of ours as a fault of that dialect: exhausted disk, timeouts, internal errors. The text
// of `internal` errors is logged and not sent.
Fault to_fault(const Error& error, Dialect dialect);

}  // namespace trainyard::aws
