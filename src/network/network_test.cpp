// SPDX-License-Identifier: Apache-2.0
// Real networks, made by a holder in a process of its own, as root and as an ordinary user.
#include "network/network.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <thread>

#include "base/random.hpp"
#include "network/build.hpp"
#include "network/files.hpp"
#include "network/outside.hpp"

namespace trainyard::network {
namespace {

constexpr uid_t kOrdinaryUser = 65534;

sockaddr_in at(const std::string& address, uint16_t port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &made.sin_addr);
  return made;
}

Fd listen_on(const std::string& address) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in place = at(address, 0);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&place), sizeof place), 0);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

uint16_t port_of(const Fd& listener) {
  sockaddr_in place{};
  socklen_t size = sizeof place;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&place), &size);
  return ntohs(place.sin_port);
}

// Connects, and says what came of it: "Connection refused", or what the other side sends.
std::string call(const std::string& address, uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in place = at(address, port);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&place), sizeof place) != 0) {
    return std::strerror(errno);
  }
  std::string text(64, '\0');
  ssize_t count = ::read(fd.get(), text.data(), text.size());
  if (count < 0) return std::string("reading: ") + std::strerror(errno);
  text.resize(static_cast<size_t>(count));
  return text;
}

void answer_one(const Fd& listener, const std::string& text) {
  pollfd watched{listener.get(), POLLIN, 0};
  ::poll(&watched, 1, 10'000);  // a test that fails is not to hang
  Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  static_cast<void>(write_all(peer.get(), text));
}

// What a child process that runs `work` says.
std::string said_by_child(const std::function<std::string()>& work) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  Fd from(ends[0]);
  Fd to(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(write_all(to.get(), work()));
    ::_exit(0);
  }
  to.reset();
  std::string text(4096, '\0');
  ssize_t count = ::read(from.get(), text.data(), text.size());
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  ::waitpid(child, nullptr, 0);
  return text;
}

class NetworkTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (is_user() && ::geteuid() != 0) GTEST_SKIP() << "we are an ordinary user";
    ASSERT_TRUE(make_directories(folder_));
    if (is_user()) {
      ASSERT_EQ(::chown(folder_.c_str(), kOrdinaryUser, kOrdinaryUser), 0);
    }
    std::string why = said_by_child([this] {
      drop_rights();
      auto can = probe();
      return can ? std::string("yes") : can.error().message;
    });
    if (why != "yes") GTEST_SKIP() << why;
  }
  void TearDown() override {
    end_holder();
    static_cast<void>(remove_tree(folder_));
  }

  static bool is_user() { return GetParam(); }
  static void drop_rights() {
    if (!is_user()) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(kOrdinaryUser) != 0 ||
        ::setuid(kOrdinaryUser) != 0) {
      ::_exit(3);
    }
    ::prctl(PR_SET_DUMPABLE, 1);  // as a program has it that such a user starts
  }

  Network make(const Plan& plan) {
    holder_ = ::fork();
    if (holder_ == 0) {
      drop_rights();
      ::_exit(write_plan(folder_, plan) && hold(folder_) ? 0 : 1);
    }
    std::error_code error;
    while (!fs::exists(network_file(folder_), error)) ::poll(nullptr, 0, 1);
    auto made = await(folder_);
    EXPECT_TRUE(made) << made.error().message;
    return made.value_or(Network());
  }
  void end_holder() {
    if (holder_ <= 0) return;
    ::kill(holder_, SIGTERM);
    ::waitpid(holder_, nullptr, 0);
    holder_ = -1;
  }

  // What `work` says in the instance with this place.
  std::string inside(const Network& network, size_t place, std::function<std::string()> work) {
    return said_by_child([&, work = std::move(work)] {
      drop_rights();
      auto open = [&](int number) {
        return open_file(fmt::format("/proc/{}/fd/{}", network.holder.pid, number), O_RDONLY);
      };
      // Before the other: from within, the holder is not to be looked into.
      auto own = open(network.instances.at(place).descriptor);
      if (network.user_descriptor >= 0) {
        auto user = open(network.user_descriptor);
        if (!user || ::setns(user->get(), CLONE_NEWUSER) != 0) return std::string("no way in");
      }
      if (!own || ::setns(own->get(), CLONE_NEWNET) != 0) return std::string("no way in");
      return work();
    });
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  pid_t holder_ = -1;
};

TEST_P(NetworkTest, instances_meet_each_other_by_their_addresses) {
  Network network = make({{"algo-1", "algo-2", "algo-3"}, "", false});
  ASSERT_EQ(network.instances.size(), 3u);
  EXPECT_EQ(network.user_descriptor >= 0, is_user() || ::geteuid() != 0);
  const std::string& first = network.find("algo-1")->address;
  std::array<int, 2> ports{};
  ASSERT_EQ(::pipe2(ports.data(), O_CLOEXEC), 0);
  std::string server = inside(network, 0, [&] {
    Fd listener = listen_on(first);
    uint16_t port = port_of(listener);
    static_cast<void>(write_all(ports[1], {reinterpret_cast<char*>(&port), sizeof port}));
    pid_t client = ::fork();
    if (client > 0) return std::string("serves");
    answer_one(listener, "from algo-1");
    ::_exit(0);
  });
  ASSERT_EQ(server, "serves");
  uint16_t port = 0;
  ASSERT_EQ(::read(ports[0], &port, sizeof port), static_cast<ssize_t>(sizeof port));
  EXPECT_EQ(inside(network, 2, [&] { return call(first, port); }), "from algo-1");
  ::close(ports[0]);
  ::close(ports[1]);
}

TEST_P(NetworkTest, the_service_is_met_at_its_own_address_and_no_other_port_of_the_host) {
  Fd service = listen_on("127.0.0.1");
  Fd other = listen_on("127.0.0.1");
  Network network = make({{"algo-1"}, fmt::format("http://127.0.0.1:{}", port_of(service)), false});
  EXPECT_EQ(inside(network, 0, [&] { return call("127.0.0.1", port_of(other)); }),
            "Connection refused");
  std::thread answer([&] { answer_one(service, "the service"); });
  EXPECT_EQ(inside(network, 0, [&] { return call("127.0.0.1", port_of(service)); }), "the service");
  answer.join();
}

TEST_P(NetworkTest, a_service_that_is_not_there_breaks_the_connection_off) {
  uint16_t port = port_of(listen_on("127.0.0.1"));
  Network network = make({{"algo-1"}, fmt::format("127.0.0.1:{}", port), false});
  std::string said = inside(network, 0, [&] { return call("127.0.0.1", port); });
  EXPECT_TRUE(said == "reading: Connection reset by peer" || said == "Connection refused") << said;
}

TEST_P(NetworkTest, machines_that_answer_for_a_clouds_rights_are_not_reached) {
  Network network = make({{"algo-1"}, "", true});
  for (const char* address : {"169.254.169.254", "169.254.170.2", "168.63.129.16"}) {
    std::string said = inside(network, 0, [&] { return call(address, 80); });
    EXPECT_TRUE(said == "No route to host" || said == "Network is unreachable") << said;
  }
}

TEST_P(NetworkTest, without_an_outside_there_is_no_way_out) {
  Network network = make({{"algo-1"}, "", false});
  EXPECT_FALSE(network.has_outside);
  EXPECT_EQ(network.no_outside, "");
  EXPECT_EQ(inside(network, 0, [] { return call("192.0.2.1", 80); }), "Network is unreachable");
}

TEST_P(NetworkTest, the_way_out_does_not_lead_to_the_hosts_loopback) {
  Fd host = listen_on("127.0.0.1");
  Network network = make({{"algo-1"}, "", true});
  if (!network.has_outside) GTEST_SKIP() << network.no_outside;
  for (const char* address : {kGateway, kNameServer}) {
    std::string said = inside(network, 0, [&] { return call(address, port_of(host)); });
    EXPECT_TRUE(said == "Connection refused" || said == "Network is unreachable") << said;
  }
}

TEST_P(NetworkTest, it_ends_with_its_holder_and_says_so) {
  Network network = make({{"algo-1"}, "", false});
  ::kill(holder_, SIGKILL);
  ::waitpid(std::exchange(holder_, -1), nullptr, 0);
  EXPECT_FALSE(find_holder(folder_));
  EXPECT_TRUE(is_lost(folder_));
  auto found = await(folder_);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("has ended"), std::string::npos);
}

TEST_P(NetworkTest, it_ends_when_its_folder_is_gone) {
  make({{"algo-1"}, "", false});
  EXPECT_FALSE(is_lost(folder_));
  ASSERT_TRUE(remove_tree(folder_));
  EXPECT_FALSE(is_lost(folder_));
  ::waitpid(std::exchange(holder_, -1), nullptr, 0);
}

TEST_P(NetworkTest, stop_waits_for_the_end_and_may_be_repeated) {
  Network network = make({{"algo-1"}, "", true});
  stop(folder_);
  EXPECT_FALSE(is_alive(network.holder));
  stop(folder_);
  holder_ = -1;  // stop() has waited for it: it was our child
}

TEST_P(NetworkTest, a_plan_that_cannot_be_is_told_as_such) {
  ASSERT_TRUE(write_plan(folder_, {{"algo-1"}, "http://nowhere", false}));
  pid_t holder = ::fork();
  if (holder == 0) ::_exit(hold(folder_) ? 0 : 1);
  int status = 0;
  ::waitpid(holder, &status, 0);
  EXPECT_NE(status, 0);
  auto found = await(folder_);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("'http://nowhere' names no port"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Users, NetworkTest, testing::Values(false, true),
                         [](const auto& made) { return made.param ? "Ordinary" : "Own"; });

}  // namespace
}  // namespace trainyard::network
