// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hydrate/front.hpp"

namespace trainyard::hydrate {

// Whether a tier works on this host, kernel and disk: small files of known bytes are shown through
// a read-only bind mount in a new mount namespace beside the plan's tree, and read there for the
// first time by read, by mmap and as cp does. The error says what differed. The calling process
// must have one thread, and SIGTERM and SIGCHLD blocked.
Result<> self_test(const HydratePlan& plan, const MakeFront& make_front);

}  // namespace trainyard::hydrate
