// SPDX-License-Identifier: Apache-2.0
#include "network/forward.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/file.hpp"
#include "base/random.hpp"

namespace trainyard::network {
namespace {

Endpoint endpoint_of(const Fd& listener) {
  Endpoint endpoint;
  endpoint.size = sizeof endpoint.address;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&endpoint.address), &endpoint.size);
  return endpoint;
}

Fd make_listener() {
  Endpoint any;
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::memcpy(&any.address, &place, sizeof place);
  any.size = sizeof place;
  Fd fd = listen_at(any).value();
  ::fcntl(fd.get(), F_SETFL, 0);  // these tests block
  return fd;
}

Fd connect_to(const Endpoint& endpoint) {
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), endpoint.get(), endpoint.size), 0);
  return fd;
}

std::string read_all(int fd) {
  std::string all;
  std::string part(1 << 16, '\0');
  for (;;) {
    ssize_t count = ::read(fd, part.data(), part.size());
    if (count <= 0) return all;
    all.append(part, 0, static_cast<size_t>(count));
  }
}

class ForwarderTest : public testing::Test {
 protected:
  void start(size_t max_connections) {
    Fd inside = make_listener();
    entrance_ = endpoint_of(inside);
    ::fcntl(inside.get(), F_SETFL, O_NONBLOCK);
    std::vector<Fd> listeners;
    listeners.push_back(std::move(inside));
    auto made = Forwarder::make(std::move(listeners), endpoint_of(target_), max_connections);
    ASSERT_TRUE(made);
    thread_ = std::jthread(
        [forwarder = std::shared_ptr<Forwarder>(*std::move(made))](const std::stop_token& stop) {
          bool is_busy = false;
          while (!stop.stop_requested()) {
            pollfd watched{forwarder->descriptor(), POLLIN, 0};
            ::poll(&watched, 1, is_busy ? 0 : 10);
            is_busy = forwarder->run_once();
          }
        });
  }

  Fd target_ = make_listener();
  Endpoint entrance_;
  std::jthread thread_;
};

TEST_F(ForwarderTest, an_end_of_one_direction_leaves_the_other_open) {
  start(10);
  Fd client = connect_to(entrance_);
  Fd server(::accept(target_.get(), nullptr, nullptr));
  ASSERT_TRUE(write_all(client.get(), "question"));
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(read_all(server.get()), "question");
  ASSERT_TRUE(write_all(server.get(), "answer"));
  server.reset();
  EXPECT_EQ(read_all(client.get()), "answer");
}

TEST_F(ForwarderTest, many_bytes_both_ways_at_once_come_whole) {
  start(10);
  std::string bytes = random_hex(8 << 20);
  Fd client = connect_to(entrance_);
  Fd server(::accept(target_.get(), nullptr, nullptr));
  std::jthread there([&] {
    static_cast<void>(write_all(client.get(), bytes));
    ::shutdown(client.get(), SHUT_WR);
  });
  std::jthread back([&] {
    static_cast<void>(write_all(server.get(), bytes));
    ::shutdown(server.get(), SHUT_WR);
  });
  std::string came_back;
  std::jthread reads([&] { came_back = read_all(client.get()); });
  EXPECT_TRUE(read_all(server.get()) == bytes);
  reads.join();
  EXPECT_TRUE(came_back == bytes);
}

TEST_F(ForwarderTest, a_broken_connection_is_broken_on_the_other_side) {
  start(10);
  Fd client = connect_to(entrance_);
  Fd server(::accept(target_.get(), nullptr, nullptr));
  linger abrupt{1, 0};
  ::setsockopt(server.get(), SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
  server.reset();
  char byte = 0;
  EXPECT_EQ(::read(client.get(), &byte, 1), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(ForwarderTest, what_is_more_than_it_may_hold_waits_for_its_turn) {
  start(2);
  for (int round = 0; round < 3; ++round) {
    std::vector<Fd> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(connect_to(entrance_));
    for (int i = 0; i < 5; ++i) {
      Fd server(::accept(target_.get(), nullptr, nullptr));
      ASSERT_TRUE(write_all(server.get(), "x"));
      ::shutdown(server.get(), SHUT_WR);
      ::shutdown(clients[static_cast<size_t>(i)].get(), SHUT_WR);
      EXPECT_EQ(read_all(server.get()), "");
    }
    for (Fd& client : clients) EXPECT_EQ(read_all(client.get()), "x");
  }
}

}  // namespace
}  // namespace trainyard::network
