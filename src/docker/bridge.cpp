// SPDX-License-Identifier: Apache-2.0
#include "docker/bridge.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.hpp"

namespace trainyard::docker {

Result<> hide_host(const std::string& network_id) {
  // The bridge driver's name for it.
  std::string name = "br-" + network_id.substr(0, 12);
  if (name.size() >= IFNAMSIZ) return fail(Code::invalid, "{} is no bridge", name);
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::copy(name.begin(), name.end(), request.ifr_name);
  if (::ioctl(fd.get(), SIOCGIFADDR, &request) != 0) {
    if (errno == EADDRNOTAVAIL) return {};  // it has none
    return fail_errno(errno, "looking for the address of " + name);
  }
  // netdevice(7): 0.0.0.0 removes the address.
  auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  *address = {};
  address->sin_family = AF_INET;
  if (::ioctl(fd.get(), SIOCSIFADDR, &request) == 0) return {};
  return fail_errno(errno, "removing the address of " + name);
}

}  // namespace trainyard::docker
