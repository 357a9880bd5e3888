// SPDX-License-Identifier: Apache-2.0
#include "docker/forwarder.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/json.hpp"
#include "base/process_tree.hpp"
#include "base/text.hpp"
#include "docker/carrier.hpp"

namespace trainyard::docker {

namespace {

struct Address {
  std::string host;
  std::string port;
};

Result<Address> address_of(std::string_view endpoint) {
  size_t scheme = endpoint.find("://");
  std::string_view rest = scheme == std::string_view::npos ? endpoint : endpoint.substr(scheme + 3);
  rest = rest.substr(0, rest.find('/'));
  size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || !parse_unsigned(rest.substr(colon + 1))) {
    return fail(Code::invalid, "{}: no port", endpoint);
  }
  std::string host(rest.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return Address{host, std::string(rest.substr(colon + 1))};
}

Result<Target> resolve(const Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int error = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found)) {
    return fail(Code::unavailable, "{}: {}", address.host, ::gai_strerror(error));
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  Target target;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.size = found->ai_addrlen;
  return target;
}

Result<Fd> listen_at(const std::string& address, uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1) {
    return fail(Code::invalid, "'{}' is no IPv4 address", address);
  }
  int one = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  auto* generic = reinterpret_cast<const sockaddr*>(&name);
  if (::bind(fd.get(), generic, sizeof name) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    return fail_errno(errno, "listening on " + address);
  }
  return fd;
}

uint16_t port_of(int socket) {
  sockaddr_in name{};
  socklen_t size = sizeof name;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.sin_port);
}

fs::path pid_file(const fs::path& folder) {
  return folder / "forward.pid";
}

std::optional<ProcessId> find_forwarder(const fs::path& folder) {
  auto process = read_process(pid_file(folder));
  return process && is_alive(*process) ? process : std::nullopt;
}

std::optional<uint16_t> port_in(const fs::path& folder) {
  auto text = read_file(folder / "forward.port", 16);
  auto port = text ? parse_unsigned(*text) : std::nullopt;
  if (!port || *port == 0 || *port > 65535) return std::nullopt;
  return static_cast<uint16_t>(*port);
}

std::string replaced(const ForwardPlan& plan, uint16_t port) {
  std::string scheme = plan.endpoint.starts_with("https") ? "https" : "http";
  return fmt::format("{}://{}:{}", scheme, plan.address, port);
}

}  // namespace

bool is_in_subnet(uint32_t address, std::string_view subnet) {
  size_t slash = subnet.find('/');
  if (slash == std::string_view::npos) return false;
  auto bits = parse_unsigned(subnet.substr(slash + 1));
  in_addr base{};
  std::string text(subnet.substr(0, slash));
  if (!bits || *bits == 0 || *bits > 32 || ::inet_pton(AF_INET, text.c_str(), &base) != 1) {
    return false;
  }
  uint32_t mask = ~uint32_t{0} << (32 - *bits);
  return (address & mask) == (ntohl(base.s_addr) & mask);
}

Result<std::string> ensure_forwarder(const fs::path& program, const fs::path& folder,
                                     const ForwardPlan& plan) {
  auto port = port_in(folder);
  if (port && find_forwarder(folder)) return replaced(plan, *port);
  ::unlink((folder / "forward.error").c_str());
  ::unlink(pid_file(folder).c_str());
  json::object document{{"address", plan.address},
                        {"subnet", plan.subnet},
                        {"endpoint", plan.endpoint},
                        {"port", port.value_or(0)}};
  fs::path file = folder / "forward.json";
  TRY(write_file_atomically(file, json::serialize(document), 0600));
  TRY(start_detached({program.string(), "forward", file.string()}, folder / "agent.log"));
  constexpr int kPollMs = 5;
  for (int waited = 0; waited < 10'000; waited += kPollMs) {
    if (auto error = read_file(folder / "forward.error")) {
      return fail(Code::unavailable, "{}", *error);
    }
    port = port_in(folder);
    if (port && find_forwarder(folder)) return replaced(plan, *port);
    ::poll(nullptr, 0, kPollMs);
  }
  return fail(Code::timeout, "the forwarder does not start");
}

void end_forwarder(const fs::path& folder) {
  if (auto process = find_forwarder(folder)) send_signal(*process, SIGKILL);
}

Result<> forward(const fs::path& file) {
  ::signal(SIGPIPE, SIG_IGN);
  fs::path folder = file.parent_path();
  auto document = TRY(json::parse_object(TRY(read_file(file))));
  std::string subnet = TRY(json::get_string(document, "subnet"));
  Address address = TRY(address_of(TRY(json::get_string(document, "endpoint"))));
  Target target = TRY(resolve(address));
  auto port = static_cast<uint16_t>(TRY(json::get_integer(document, "port")));
  auto listener = listen_at(TRY(json::get_string(document, "address")), port);
  if (!listener) {
    TRY(write_file_atomically(folder / "forward.error", listener.error().message));
    return Failure(std::move(listener).error());
  }
  TRY(write_file_atomically(folder / "forward.port", std::to_string(port_of(listener->get()))));
  auto self = identify(::getpid());
  if (self) TRY(write_process(pid_file(folder), *self));
  auto is_ours = [&](uint32_t peer) { return is_in_subnet(peer, subnet); };
  // Where its folder goes its job has gone, whoever removed it.
  Fd watch(::inotify_init1(IN_CLOEXEC));
  // Told by the folder above: what containers have mounted keeps an inode alive that has no name.
  if (::inotify_add_watch(watch.get(), folder.parent_path().c_str(), IN_DELETE | IN_ONLYDIR) < 0) {
    return fail_errno(errno, "watching " + folder.parent_path().string());
  }
  Carrier carrier(std::move(*listener), target, is_ours);
  std::error_code error;
  while (fs::exists(folder, error)) {
    carrier.run(watch.get());
    std::array<char, 4096> events;
    static_cast<void>(!::read(watch.get(), events.data(), events.size()));
  }
  return {};
}

}  // namespace trainyard::docker
