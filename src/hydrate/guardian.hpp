// SPDX-License-Identifier: Apache-2.0
// The process that readers depend on, kept small: it takes reads from the tier, answers them from
// the chunk map, and keeps a hydrator running. One thread, so that it may fork at any time.
#pragma once

#include <functional>

#include "hydrate/chunk_map.hpp"
#include "hydrate/front.hpp"
#include "hydrate/source.hpp"

namespace trainyard::hydrate {

// Serves until SIGTERM, calling `on_ready` when reads are answered. Then incomplete files are cut
// to length 0 and the tier is closed. SIGTERM and SIGCHLD must be blocked. An error of the start,
// or of on_ready, is returned after the same end.
Result<> run_guardian(const HydratePlan& plan, ChunkMap& map, Front& front,
                      const MakeSource& make_source, const std::function<Result<>()>& on_ready);

}  // namespace trainyard::hydrate
