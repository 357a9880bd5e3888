// SPDX-License-Identifier: Apache-2.0
#include "network/netlink.hpp"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace trainyard::network {

namespace {

// One request, put together from its front to its end.
class Message {
 public:
  template <class Header>
  Message(uint16_t type, unsigned flags, const Header& header) {
    nlmsghdr start{};
    start.nlmsg_type = type;
    start.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&start, sizeof start);
    append(&header, sizeof header);
  }

  void add(uint16_t type, const void* data, size_t size) {
    size_t place = begin(type);
    append(data, size);
    end(place);
  }
  void add(uint16_t type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }
  template <class Number>
  void add_number(uint16_t type, Number number) {
    add(type, &number, sizeof number);
  }

  // Attributes within an attribute: what is added until end(place) is its content.
  size_t begin(uint16_t type) {
    size_t place = bytes_.size();
    rtattr head{0, type};
    append(&head, sizeof head);
    return place;
  }
  void end(size_t place) {
    auto length = static_cast<unsigned short>(bytes_.size() - place);
    std::memcpy(bytes_.data() + place, &length, sizeof length);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  void append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

ifinfomsg link_header(bool is_up) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  if (is_up) header.ifi_flags = header.ifi_change = IFF_UP;
  return header;
}

std::string text_of(in_addr address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &address, text.data(), text.size());
}

}  // namespace

Result<Netlink> Netlink::open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail_errno(errno, "opening a netlink socket");
  return Netlink(std::move(fd));
}

Result<> Netlink::ask(std::string message, const std::string& doing) {
  nlmsghdr head{};
  std::memcpy(&head, message.data(), sizeof head);
  head.nlmsg_len = static_cast<uint32_t>(message.size());
  head.nlmsg_seq = ++sequence_;
  std::memcpy(message.data(), &head, sizeof head);
  if (::send(fd_.get(), message.data(), message.size(), 0) < 0) return fail_errno(errno, doing);
  alignas(nlmsghdr) std::array<char, 8192> answer{};
  ssize_t count = ::recv(fd_.get(), answer.data(), answer.size(), 0);
  if (count < 0) return fail_errno(errno, doing);
  if (static_cast<size_t>(count) < NLMSG_LENGTH(sizeof(nlmsgerr))) {
    return fail(Code::internal, "{}: a short answer of the kernel", doing);
  }
  nlmsgerr result{};
  std::memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof result);
  if (result.error != 0) return fail_errno(-result.error, doing);
  return {};
}

Result<> Netlink::add_bridge(const std::string& name, uint32_t mtu) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_header(true));
  message.add(IFLA_IFNAME, name);
  message.add_number(IFLA_MTU, mtu);
  size_t info = message.begin(IFLA_LINKINFO);
  message.add(IFLA_INFO_KIND, "bridge");
  message.end(info);
  return ask(message.take(), "making bridge " + name);
}

Result<> Netlink::add_cable(const std::string& name, int bridge_index, const std::string& peer_name,
                            int peer_namespace, uint32_t mtu) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_header(true));
  message.add(IFLA_IFNAME, name);
  message.add_number(IFLA_MTU, mtu);
  message.add_number(IFLA_MASTER, bridge_index);
  size_t info = message.begin(IFLA_LINKINFO);
  message.add(IFLA_INFO_KIND, "veth");
  size_t data = message.begin(IFLA_INFO_DATA);
  size_t peer = message.begin(VETH_INFO_PEER);
  ifinfomsg header = link_header(false);
  message.append(&header, sizeof header);
  message.add(IFLA_IFNAME, peer_name);
  message.add_number(IFLA_MTU, mtu);
  message.add_number(IFLA_NET_NS_FD, peer_namespace);
  message.end(peer);
  message.end(data);
  message.end(info);
  return ask(message.take(), "making link " + name);
}

Result<> Netlink::make_port(const std::string& name, int bridge_index, uint32_t mtu) {
  Message message(RTM_NEWLINK, 0, link_header(true));
  message.add(IFLA_IFNAME, name);
  message.add_number(IFLA_MTU, mtu);
  message.add_number(IFLA_MASTER, bridge_index);
  return ask(message.take(), "setting link " + name);
}

Result<> Netlink::set_up(const std::string& name) {
  Message message(RTM_NEWLINK, 0, link_header(true));
  message.add(IFLA_IFNAME, name);
  return ask(message.take(), "setting link " + name + " up");
}

Result<> Netlink::add_address(int link_index, in_addr address, unsigned char prefix_bits) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = prefix_bits;
  header.ifa_index = static_cast<unsigned>(link_index);
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  message.add_number(IFA_LOCAL, address);
  message.add_number(IFA_ADDRESS, address);
  return ask(message.take(), "adding address " + text_of(address));
}

Result<> Netlink::add_route(const Route& route) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = route.to_bits;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = route.is_unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, header);
  if (route.to_bits != 0) message.add_number(RTA_DST, route.to);
  if (!route.is_unreachable) message.add_number(RTA_GATEWAY, route.via);
  return ask(message.take(), "adding the route to " + text_of(route.to));
}

Result<> Netlink::add_rule(const Rule& rule) {
  fib_rule_hdr header{};
  header.family = AF_INET;
  header.dst_len = 32;
  header.table = rule.is_unreachable ? RT_TABLE_UNSPEC : RT_TABLE_MAIN;
  header.action = rule.is_unreachable ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL;
  Message message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, header);
  message.add_number(FRA_PRIORITY, rule.priority);
  message.add_number(FRA_DST, rule.to);
  if (rule.port != 0) {
    fib_rule_port_range ports{rule.port, rule.port};
    message.add_number(FRA_DPORT_RANGE, ports);
  }
  return ask(message.take(), "adding the rule for " + text_of(rule.to));
}

}  // namespace trainyard::network
