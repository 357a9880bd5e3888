// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"

namespace trainyard::docker {

// Takes this host's address off the bridge of an internal network, so that its containers meet each
// other and not what listens here on all addresses. Daemons from Docker 27 on give it none. Needs
// CAP_NET_ADMIN, and the daemon's network namespace.
Result<> hide_host(const std::string& network_id);

}  // namespace trainyard::docker
