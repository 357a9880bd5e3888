// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace trainyard {

// Prints where and why, and aborts.
[[noreturn]] void check_failed(const char* condition, const char* why, const char* file, int line);

}  // namespace trainyard

// CHECK(condition, "why it must hold") aborts when an invariant is broken: a bug of ours, never
// input.
#define CHECK(condition, why)                          \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::trainyard::check_failed(#condition, why, __FILE__, __LINE__))
