// SPDX-License-Identifier: Apache-2.0
// CBOR (RFC 8949) to JSON and back, as Smithy's rpc-v2-cbor protocol uses it
// (https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html): tag 1 is a timestamp in
// epoch seconds, a number in JSON.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace trainyard::aws {

// `invalid` for what is no CBOR, has no counterpart in JSON, or is nested deeper than 32.
Result<json::value> parse_cbor(std::string_view bytes);

// Numbers in members of these names, and in lists there, become timestamps.
std::string to_cbor(const json::value& value, std::span<const std::string_view> timestamps);

}  // namespace trainyard::aws
