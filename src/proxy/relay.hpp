// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "proxy/stream.hpp"

namespace trainyard::proxy {

// Moves bytes both ways as they come, until both sides have ended or one is broken, or nothing has
// moved for so long. An end on one side is passed on; the other direction goes on. Holds at most
// 64 KiB per direction: a slow side slows the other down.
Result<> relay(Stream& left, Stream& right, const Waiter& waiter,
               std::chrono::steady_clock::duration idle_limit);

}  // namespace trainyard::proxy
