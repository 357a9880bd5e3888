// SPDX-License-Identifier: Apache-2.0
#include "proxy/proxy.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <list>
#include <thread>

#include "base/log.hpp"
#include "base/text.hpp"
#include "http/message.hpp"
#include "proxy/connect.hpp"
#include "proxy/relay.hpp"

namespace trainyard::proxy {

namespace {

using std::chrono::steady_clock;
constexpr size_t kMaxHead = 16 << 10;

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string basic_authorization(std::string_view user_info) {
  return "Basic " + to_base64(user_info);
}

// One client's connection, on a thread of its own.
class Tunnel {
 public:
  Tunnel(const ProxyOptions& options, Authority& authority, const Waiter& waiter)
      : options_(options), authority_(authority), waiter_(waiter) {}

  void serve(Fd client) {
    auto head = read_head(client.get(), kMaxHead, waiter_, within(options_.head_limit));
    if (!head) {
      if (head.error().code == Code::exhausted) refuse(client.get(), {431, head.error().message});
      return;
    }
    auto request = parse_connect(*head);
    if (!request) return refuse(client.get(), request.error());
    if (!equal_in_constant_time(request->authorization,
                                basic_authorization("trainyard:" + options_.token))) {
      return refuse(client.get(), {407,
                                   "this proxy belongs to a program that runs under "
                                   "`trainyard exec`, which has its password in HTTPS_PROXY"});
    }
    bool is_ours = is_amazon(request->host) && request->port == 443;
    auto ended = is_ours ? answer(std::move(client), request->host)
                         : pass_through(std::move(client), *request);
    if (!ended) {
      log::debug("a proxied connection broke",
                 {{"host", request->host}, {"why", ended.error().message}});
    }
  }

 private:
  Deadline within(std::chrono::milliseconds limit) const { return steady_clock::now() + limit; }

  Result<> answer(Fd client, const std::string& host) {
    auto service = dial_service();
    if (!service) {
      refuse(client.get(), {502, "trainyard does not answer: " + service.error().message});
      return Failure(service.error());
    }
    auto context = TRY(authority_.context_for(host));
    TRY(send(client.get(), "HTTP/1.1 200 Connection established\r\n\r\n"));
    Stream inside =
        TRY(Stream::accept_tls(std::move(client), context, waiter_, within(options_.head_limit)));
    return relay(inside, *service, waiter_, options_.idle_limit);
  }

  Result<Stream> dial_service() {
    const Address& service = options_.service;
    auto deadline = within(options_.dial_limit);
    Fd socket = TRY(dial(service.host, service.port, waiter_, deadline));
    if (!service.is_tls) return Stream(std::move(socket));
    return Stream::connect_tls(std::move(socket), service.host, waiter_, deadline);
  }

  Result<> pass_through(Fd client, const ConnectRequest& request) {
    auto other = options_.parent
                     ? dial_through_parent(request)
                     : dial(request.host, request.port, waiter_, within(options_.dial_limit));
    if (!other) {
      refuse(client.get(), {502, other.error().message});
      return Failure(other.error());
    }
    TRY(send(client.get(), "HTTP/1.1 200 Connection established\r\n\r\n"));
    Stream left(std::move(client));
    Stream right(*std::move(other));
    return relay(left, right, waiter_, options_.idle_limit);
  }

  Result<Fd> dial_through_parent(const ConnectRequest& request) {
    const Address& parent = *options_.parent;
    auto deadline = within(options_.dial_limit);
    Fd socket = TRY(dial(parent.host, parent.port, waiter_, deadline));
    bool is_v6 = request.host.find(':') != std::string::npos;
    std::string host = is_v6 ? "[" + request.host + "]" : request.host;
    std::string target = fmt::format("{}:{}", host, request.port);
    std::string head = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", target);
    if (!parent.user_info.empty()) {
      head += fmt::format("Proxy-Authorization: {}\r\n", basic_authorization(parent.user_info));
    }
    TRY(send(socket.get(), head + "\r\n"));
    std::string answer = TRY(read_head(socket.get(), kMaxHead, waiter_, deadline));
    std::string line = answer.substr(0, answer.find("\r\n"));
    auto words = split(line, ' ');
    if (words.size() >= 2 && words[1] == "200") return socket;
    return fail(Code::unavailable, "the proxy {}:{} says '{}'", parent.host, parent.port, line);
  }

  Result<> send(int socket, std::string_view bytes) {
    auto deadline = within(options_.head_limit);
    while (!bytes.empty()) {
      ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN && errno != EINTR) return fail_errno(errno, "sending");
      if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
      if (count < 0) TRY(waiter_.wait({{socket, POLLOUT}}, deadline));
    }
    return {};
  }

  void refuse(int socket, const Refusal& refusal) {
    std::string text = refusal.text + "\n";
    std::string answer = fmt::format(
        "HTTP/1.1 {} {}\r\n{}Content-Type: text/plain\r\nContent-Length: {}\r\n"
        "Connection: close\r\n\r\n{}",
        refusal.status, http::reason_phrase(refusal.status),
        refusal.status == 407   ? "Proxy-Authenticate: Basic realm=\"trainyard exec\"\r\n"
        : refusal.status == 405 ? "Allow: CONNECT\r\n"
                                : "",
        text.size(), text);
    if (!send(socket, answer)) return;
    // A close with bytes unread would be a reset, which can overtake the answer.
    ::shutdown(socket, SHUT_WR);
    auto deadline = within(std::chrono::seconds(1));
    std::array<char, 4096> waste;
    while (waiter_.wait({{socket, POLLIN}}, deadline) &&
           ::recv(socket, waste.data(), waste.size(), 0) > 0) {
    }
  }

  const ProxyOptions& options_;
  Authority& authority_;
  const Waiter& waiter_;
};

class LoopbackProxy : public Proxy {
 public:
  LoopbackProxy(ProxyOptions options, Authority& authority, Fd listener, uint16_t port, Fd stop)
      : options_(std::move(options)),
        authority_(authority),
        listener_(std::move(listener)),
        port_(port),
        stop_(std::move(stop)),
        waiter_(stop_.get()),
        acceptor_([this] { accept_all(); }) {}

  ~LoopbackProxy() override { ::eventfd_write(stop_.get(), 1); }

  uint16_t port() const override { return port_; }

 private:
  struct Worker {
    std::atomic<bool> is_done = false;
    std::jthread thread;
  };

  void accept_all() {
    std::list<Worker> workers;  // joined where this returns
    for (;;) {
      auto waited =
          waiter_.wait({{listener_.get(), POLLIN}}, steady_clock::now() + std::chrono::hours(1));
      if (!waited && waited.error().code != Code::timeout) return;
      std::erase_if(workers, [](const Worker& worker) { return worker.is_done.load(); });
      Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!client) {
        // Out of descriptors the listener stays readable: others may end meanwhile.
        if (errno == EMFILE || errno == ENFILE) pause();
        continue;
      }
      if (workers.size() >= options_.max_connections) continue;
      int on = 1;
      ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      Worker& worker = workers.emplace_back();
      worker.thread = std::jthread([this, &worker, socket = std::move(client)]() mutable {
        Tunnel(options_, authority_, waiter_).serve(std::move(socket));
        worker.is_done = true;
      });
    }
  }

  void pause() {
    static_cast<void>(waiter_.wait({}, steady_clock::now() + std::chrono::milliseconds(50)));
  }

  ProxyOptions options_;
  Authority& authority_;
  Fd listener_;
  uint16_t port_;
  Fd stop_;
  Waiter waiter_;
  std::jthread acceptor_;
};

}  // namespace

Result<Address> parse_address(std::string_view url) {
  Address address;
  address.is_tls = url.starts_with("https://");
  if (!address.is_tls && !url.starts_with("http://")) {
    return fail(Code::invalid, "'{}' does not begin with http:// or https://", url);
  }
  url.remove_prefix(url.find("://") + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (size_t at = url.rfind('@'); at != std::string_view::npos) {
    address.user_info = percent_decode(url.substr(0, at)).value_or("");
    url.remove_prefix(at + 1);
  }
  size_t colon = url.rfind(':');
  if (url.ends_with(']')) colon = std::string_view::npos;
  uint64_t port = address.is_tls ? 443 : 80;
  if (colon != std::string_view::npos) port = parse_unsigned(url.substr(colon + 1)).value_or(0);
  address.host = url.substr(0, colon);
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  if (address.host.empty() || port == 0 || port > 65535) {
    return fail(Code::invalid, "'{}' is no host with a port", url);
  }
  address.port = static_cast<uint16_t>(port);
  return address;
}

Result<std::unique_ptr<Proxy>> Proxy::start(ProxyOptions options, Authority& authority) {
  // OpenSSL writes without MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener || !stop || ::bind(listener.get(), generic, size) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    return fail_errno(errno, "starting the proxy on 127.0.0.1");
  }
  uint16_t port = ntohs(address.sin_port);
  return std::make_unique<LoopbackProxy>(std::move(options), authority, std::move(listener), port,
                                         std::move(stop));
}

}  // namespace trainyard::proxy
