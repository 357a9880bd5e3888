// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <cerrno>
#include <cstring>

namespace trainyard {

std::string_view name(Code code) {
  switch (code) {
    case Code::invalid:
      return "invalid";
    case Code::not_found:
      return "not_found";
    case Code::conflict:
      return "conflict";
    case Code::denied:
      return "denied";
    case Code::exhausted:
      return "exhausted";
    case Code::timeout:
      return "timeout";
    case Code::unavailable:
      return "unavailable";
    case Code::cancelled:
      return "cancelled";
    case Code::internal:
      return "internal";
  }
  return "unknown";
}

Error Error::within(std::string_view doing) && {
  return Error{code, fmt::format("{}: {}", doing, message)};
}

static Code code_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
      return Code::not_found;
    case EEXIST:
    case ENOTEMPTY:
      return Code::conflict;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::denied;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return Code::exhausted;
    case EAGAIN:
    case ETIMEDOUT:
      return Code::timeout;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EBUSY:
      return Code::unavailable;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
      return Code::invalid;
    default:
      return Code::internal;
  }
}

Failure fail_errno(int error_number, std::string_view doing) {
  return fail(code_of_errno(error_number), "{}: {}", doing, std::strerror(error_number));
}

bool is_retryable(Code code) {
  return code == Code::timeout || code == Code::unavailable;
}

}  // namespace trainyard
