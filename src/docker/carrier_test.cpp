// SPDX-License-Identifier: Apache-2.0
#include "docker/carrier.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>

#include <thread>

#include "http/client.hpp"
#include "http/server.hpp"

namespace trainyard::docker {

namespace {

struct Listener {
  Fd fd;
  uint16_t port = 0;
};

sockaddr_in loopback(uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

Listener listen_somewhere() {
  Listener made{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0))};
  sockaddr_in name = loopback(0);
  socklen_t size = sizeof name;
  auto* generic = reinterpret_cast<sockaddr*>(&name);
  EXPECT_EQ(::bind(made.fd.get(), generic, size), 0);
  EXPECT_EQ(::listen(made.fd.get(), 16), 0);
  ::getsockname(made.fd.get(), generic, &size);
  made.port = ntohs(name.sin_port);
  return made;
}

// A carrier on a thread, in front of a port.
class Running {
 public:
  Running(uint16_t to, bool may_enter) {
    Listener listener = listen_somewhere();
    port = listener.port;
    Target target;
    sockaddr_in name = loopback(to);
    std::memcpy(&target.address, &name, sizeof name);
    target.size = sizeof name;
    carrier_.emplace(std::move(listener.fd), target, [=](uint32_t) { return may_enter; });
    thread_ = std::jthread([this] { carrier_->run(stop_.get()); });
  }
  ~Running() { ::eventfd_write(stop_.get(), 1); }

  uint16_t port = 0;

 private:
  Fd stop_{::eventfd(0, 0)};
  std::optional<Carrier> carrier_;
  std::jthread thread_;
};

Result<http::Answer> post(uint16_t port, std::string body) {
  http::Call call;
  call.method = "POST";
  call.url = fmt::format("http://127.0.0.1:{}/", port);
  call.body = std::move(body);
  return http::Client().send(call);
}

std::unique_ptr<http::Server> echo() {
  auto answer = [](http::Request& request) {
    http::Response response;
    response.body = http::read_all(*request.body, 64 << 20).value_or("broken");
    return response;
  };
  return http::Server::start({}, answer).value();
}

}  // namespace

TEST(Carrier, carries_both_ways_many_at_a_time) {
  auto server = echo();
  Running running(server->port(), true);
  std::vector<std::jthread> clients;
  for (char letter : {'a', 'b', 'c', 'd'}) {
    clients.emplace_back([&, letter] {
      std::string body(5 << 20, letter);
      for (int i = 0; i < 3; ++i) {
        auto answer = post(running.port, body);
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_TRUE(answer->body == body);
      }
    });
  }
}

TEST(Carrier, lets_nobody_in_who_may_not_enter) {
  auto server = echo();
  Running running(server->port(), false);
  EXPECT_EQ(post(running.port, "x").error().code, Code::unavailable);
}

TEST(Carrier, outlives_a_service_that_is_away) {
  Listener away = listen_somewhere();
  uint16_t port = away.port;
  away.fd.reset();
  Running running(port, true);
  EXPECT_FALSE(post(running.port, "x"));
  EXPECT_FALSE(post(running.port, "x"));
}

}  // namespace trainyard::docker
