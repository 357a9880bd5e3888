// SPDX-License-Identifier: Apache-2.0
#include "network/build.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/file.hpp"
#include "network/netlink.hpp"
#include "network/passing.hpp"

namespace trainyard::network {

namespace {

constexpr uint32_t kMtu = 65520;  // the most that slirp4netns takes: fewer, larger packets
constexpr const char* kBridge = "job";

// What clouds answer at, of any machine that asks, with that machine's rights: link-local (AWS,
// Google, Azure), Azure's WireServer, Alibaba, Oracle.
constexpr auto kHidden = std::to_array<std::pair<const char*, unsigned char>>(
    {{"169.254.0.0", 16}, {"168.63.129.16", 32}, {"100.100.100.200", 32}, {"192.0.0.192", 32}});

in_addr parse(const char* text) {
  in_addr address{};
  ::inet_pton(AF_INET, text, &address);
  return address;
}

// For files of /proc: no temporary file, no rename.
Result<> write_text(const fs::path& path, std::string_view text) {
  Fd fd = TRY(open_file(path, O_WRONLY));
  return write_all(fd.get(), text);
}

// In the new namespace this process has all rights over what it makes; its user stays who it is.
Result<> enter_own_users() {
  uid_t user = ::geteuid();
  gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return fail_errno(errno, "making a user namespace");
  TRY(write_text("/proc/self/setgroups", "deny"));
  TRY(write_text("/proc/self/uid_map", fmt::format("{0} {0} 1\n", user)));
  return write_text("/proc/self/gid_map", fmt::format("{0} {0} 1\n", group));
}

Result<Fd> enter_own_network() {
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "making a network namespace");
  return open_file("/proc/self/ns/net", O_RDONLY);
}

// It stays when this descriptor closes, for slirp4netns to take.
Result<> make_tap() {
  auto opened = open_file("/dev/net/tun", O_RDWR);
  if (!opened) {
    return fail(opened.error().code, "{}; `modprobe tun` makes it, `chmod 666` allows it",
                opened.error().message);
  }
  Fd fd = *std::move(opened);
  ifreq request{};
  std::strncpy(request.ifr_name, kTap, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return fail_errno(errno, "making a tap");
  if (::ioctl(fd.get(), TUNSETPERSIST, 1) != 0) return fail_errno(errno, "keeping the tap");
  return {};
}

// Names are looked up at the third address alone, and there at DNS's port alone: slirp4netns
// carries its other ports to where the host's name server is, which may be the host's loopback.
Result<> add_ways_out(Netlink& netlink) {
  Route everything;
  everything.via = parse(kGateway);
  TRY(netlink.add_route(everything));
  Rule names;
  names.priority = 10;
  names.to = parse(kNameServer);
  names.port = 53;
  TRY(netlink.add_rule(names));
  Rule others;
  others.priority = 11;
  others.to = parse(kNameServer);
  others.is_unreachable = true;
  return netlink.add_rule(others);
}

// As containers have it: port 22 is the job's own, and so is ping. Kernels without these files do
// without.
void allow_ports_and_ping() {
  static_cast<void>(write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"));
  static_cast<void>(write_text("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"));
}

class Builder {
 public:
  explicit Builder(const Design& design, int parent) : design_(design), parent_(parent) {}

  Result<> run() {
    if (::geteuid() != 0) {
      TRY(enter_own_users());
      TRY(pass_open("user", "/proc/self/ns/user"));
    }
    Fd job = TRY(enter_own_network());
    Netlink netlink = TRY(Netlink::open());
    TRY(netlink.add_bridge(kBridge, kMtu));
    bridge_ = static_cast<int>(::if_nametoindex(kBridge));
    TRY(add_tap(netlink));
    TRY(pass(parent_, "job", job.get()));
    for (size_t place = 0; place < design_.instances; ++place) TRY(add_instance(netlink, place));
    return {};
  }

 private:
  Result<> pass_open(const char* what, const fs::path& path) {
    Fd fd = TRY(open_file(path, O_RDONLY));
    return pass(parent_, what, fd.get());
  }

  Result<> add_tap(Netlink& netlink) {
    if (!design_.has_outside) return {};
    auto made = make_tap();
    has_tap_ = made.has_value();
    if (!made) return pass(parent_, "no tap: " + made.error().message, -1);
    return netlink.make_port(kTap, bridge_, kMtu);
  }

  Result<> add_instance(Netlink& job, size_t place) {
    Fd instance = TRY(enter_own_network());
    Netlink netlink = TRY(Netlink::open());
    TRY(netlink.set_up("lo"));
    TRY(job.add_cable(fmt::format("host{}", place + 1), bridge_, "eth0", instance.get(), kMtu));
    int link = static_cast<int>(::if_nametoindex("eth0"));
    TRY(netlink.add_address(link, parse(address_of(place).c_str()), kRangeBits));
    TRY(netlink.set_up("eth0"));
    if (has_tap_) TRY(add_ways_out(netlink));
    for (const auto& [address, bits] : kHidden) {
      Route hidden;
      hidden.to = parse(address);
      hidden.to_bits = bits;
      hidden.is_unreachable = true;
      TRY(netlink.add_route(hidden));
    }
    allow_ports_and_ping();
    TRY(listen_for_service(netlink));
    return pass(parent_, "instance", instance.get());
  }

  // Where the service has another address than loopback, and there is no way out to it, that
  // address becomes the instance's own.
  Result<> listen_for_service(Netlink& netlink) {
    if (!design_.service) return {};
    const Endpoint& service = *design_.service;
    if (!service.is_loopback()) {
      if (has_tap_ || service.family() != AF_INET) return {};
      sockaddr_in address{};
      std::memcpy(&address, &service.address, sizeof address);
      TRY(netlink.add_address(static_cast<int>(::if_nametoindex("lo")), address.sin_addr, 32));
    }
    Fd listener = TRY(listen_at(service));
    return pass(parent_, "listener", listener.get());
  }

  const Design& design_;
  int parent_;
  int bridge_ = 0;
  bool has_tap_ = false;
};

// What the child passes, until it is done.
Result<Built> receive(int from) {
  constexpr std::string_view kNoTap = "no tap: ";
  Built built;
  for (;;) {
    Passed passed = TRY(receive_passed(from));
    if (passed.text == "done") return built;
    if (passed.text == "user")
      built.user = std::move(passed.fd);
    else if (passed.text == "job")
      built.job = std::move(passed.fd);
    else if (passed.text == "instance")
      built.instances.push_back(std::move(passed.fd));
    else if (passed.text == "listener")
      built.listeners.push_back(std::move(passed.fd));
    else if (passed.text.starts_with(kNoTap))
      built.no_tap = passed.text.substr(kNoTap.size());
    else
      return fail(Code::denied, "{}", passed.text);
  }
}

}  // namespace

std::string address_of(size_t place) {
  return fmt::format("198.18.1.{}", place + 1);
}

Result<Built> build(const Design& design) {
  auto [ours, theirs] = TRY(make_passage());
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "starting a process");
  if (child == 0) {
    auto done = Builder(design, theirs.get()).run();
    static_cast<void>(pass(theirs.get(), done ? "done" : done.error().message, -1));
    ::_exit(0);
  }
  theirs.reset();
  auto built = receive(ours.get());
  ::waitpid(child, nullptr, 0);
  return built;
}

}  // namespace trainyard::network
