// SPDX-License-Identifier: Apache-2.0
// CloudWatch's older wire form, the query protocol: a form body, an XML answer. The actions know
// JSON only. https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "api/model/shape.hpp"

namespace trainyard::api::monitoring {

// Members of answers that are timestamps.
constexpr std::array<std::string_view, 2> kTimestamps = {"Timestamp", "Timestamps"};

// "Dimensions.member.1.Name=Host" as JSON. Values that do not fit their type stay texts, for the
// shape's check to refuse.
json::object from_form(const std::map<std::string, std::string>& form, const Shape& shape);

std::string to_xml(std::string_view action, const json::object& answer,
                   std::string_view request_id);

}  // namespace trainyard::api::monitoring
