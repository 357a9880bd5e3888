// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/services.hpp"

namespace trainyard::api {

// Takes an agent's report (protocol/report.hpp). Log lines are stored before events count, so a job
// that is seen to be terminal has all its log.
http::Response take_report(const Services& services, http::Request& request);

}  // namespace trainyard::api
