// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hydrate/front.hpp"

namespace trainyard::fuse {

// Mounts the plan's tree. `unavailable`: no FUSE here, or no right to mount.
Result<std::unique_ptr<hydrate::Front>> make_fuse_front(const hydrate::HydratePlan& plan,
                                                        const hydrate::ChunkMap& map);

}  // namespace trainyard::fuse
