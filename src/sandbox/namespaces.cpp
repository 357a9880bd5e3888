// SPDX-License-Identifier: Apache-2.0
#include "sandbox/namespaces.hpp"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>

#include "base/file.hpp"

namespace trainyard::sandbox {

namespace {

Result<Fd> open_kept(const ProcessId& keeper, int number) {
  return open_file(fmt::format("/proc/{}/fd/{}", keeper.pid, number), O_RDONLY);
}

}  // namespace

Result<> enter_namespaces(const Namespaces& namespaces) {
  if (namespaces.network < 0) return {};
  auto network = open_kept(namespaces.keeper, namespaces.network);
  auto user =
      namespaces.user < 0 ? Result<Fd>(Fd()) : open_kept(namespaces.keeper, namespaces.user);
  // Only now is it certain that the numbers were those of the keeper, and of no later process.
  if (!is_alive(namespaces.keeper)) {
    return fail(Code::unavailable, "the process that keeps the job's network has ended");
  }
  if (!network) return Failure(network.error());
  if (!user) return Failure(user.error());
  if (*user && ::setns(user->get(), CLONE_NEWUSER) != 0) {
    return fail_errno(errno, "entering the job's user namespace");
  }
  if (::setns(network->get(), CLONE_NEWNET) != 0) {
    return fail_errno(errno, "entering the job's network");
  }
  return {};
}

}  // namespace trainyard::sandbox
