// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "pipe/plan.hpp"

namespace trainyard::pipe {

// Which entries this host gets in that epoch, counted from 0, in order. With a seed each epoch has
// an order of its own, the same on every host, machine and run; a sharded channel is dealt anew
// from it. Pure.
std::vector<size_t> order_of(const PipeChannel& channel, uint64_t epoch);

}  // namespace trainyard::pipe
