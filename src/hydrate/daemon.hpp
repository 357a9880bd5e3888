// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hydrate/front.hpp"

namespace trainyard::hydrate {

// `trainyard hydrate FILE`: chooses the first tier that works here, shows the plan's tree and
// serves it until SIGTERM. Writes `ready` (the tier and why not another) or `failed` into the state
// folder. Must be called before any thread is started. Returns the exit code.
int run_daemon(const fs::path& plan_file, const MakeFront& make_fuse_front);

}  // namespace trainyard::hydrate
