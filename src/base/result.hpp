// SPDX-License-Identifier: Apache-2.0
// Result<T> carries a value or an Error. It is for what the world can do to us: network, disk, user
// input, child processes. Bugs are CHECKs (check.hpp), and no code of ours throws.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

namespace trainyard {

// Why something failed, coarsely enough to decide what to do next. The set is closed.
enum class Code {
  invalid,      // the input can never work
  not_found,    // what was named does not exist
  conflict,     // it exists already, or changed underneath
  denied,       // not allowed
  exhausted,    // a limit, quota, memory or disk is used up
  timeout,      // nothing came in time
  unavailable,  // may work later: connection refused, busy
  cancelled,    // somebody asked to stop
  internal,     // our fault, or a library's
};

std::string_view name(Code code);

struct [[nodiscard]] Error {
  Code code = Code::internal;
  std::string message;

  // The same error with what was being done in front: "uploading model.tar.gz: connection reset".
  Error within(std::string_view doing) &&;
};

template <class T = void>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

template <class... Args>
Failure fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Failure(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// The error of the system call that just failed: "opening /x: No such file or directory".
Failure fail_errno(int error_number, std::string_view doing);

// The value of a Result that is known to hold one; TRY's last step.
template <class T, class E>
T take_value(tl::expected<T, E>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// True for errors that may go away when the same thing is tried again.
bool is_retryable(Code code);

}  // namespace trainyard

#define TRAINYARD_JOIN2(a, b) a##b
#define TRAINYARD_JOIN(a, b) TRAINYARD_JOIN2(a, b)
#define TRAINYARD_TRY(result, expression)                            \
  __extension__({                                                    \
    auto result = (expression);                                      \
    if (!result) return ::tl::unexpected(std::move(result).error()); \
    ::trainyard::take_value(std::move(result));                      \
  })

// TRY(expression) is the value of a Result, or returns its error from the enclosing function. Not
// more than once within braces: in T{TRY(a), TRY(b)} g++ 12 does not destroy the first when the
// second returns.
#define TRY(...) TRAINYARD_TRY(TRAINYARD_JOIN(try_result_, __COUNTER__), (__VA_ARGS__))
