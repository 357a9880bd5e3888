// SPDX-License-Identifier: Apache-2.0
// The process that fetches. It may be killed at any moment: the guardian starts another.
#pragma once

#include "base/fd.hpp"
#include "hydrate/chunk_map.hpp"
#include "hydrate/front.hpp"
#include "hydrate/source.hpp"

namespace trainyard::hydrate {

// Runs in a child of the guardian and never returns to its caller's work: `guardian` is this end of
// the socket between the two. After the guardian's death it records that, cuts incomplete files to
// length 0 and denies every read until it is killed.
void run_hydrator(const HydratePlan& plan, ChunkMap& map, Front& front,
                  const MakeSource& make_source, Fd guardian);

}  // namespace trainyard::hydrate
