// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/random.hpp"
#include "launch/children.hpp"
#include "launch/rank_tags.hpp"
#include "launch/roles.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

TEST(RankTags, a_line_names_the_rank_and_its_host) {
  std::vector<std::string> hosts{"algo-1", "algo-2"};
  auto named = [&](std::string_view line) { return with_host_of_rank(line, hosts, 2); };
  EXPECT_EQ(named("[1,0]<stdout>:hello"), "[1,mpirank:0,algo-1]<stdout>:hello");
  EXPECT_EQ(named("[1,3]<stderr>:[1,2]<stdout>:x"), "[1,mpirank:3,algo-2]<stderr>:[1,2]<stdout>:x");
  for (std::string_view line :
       {"", "[1,4]<stdout>:no such host", "[1,0]", "[1,0]text", "[,]<stdout>", "[1,-1]<stdout>:x",
        "[a,b]<stdout>:x", "x[1,0]<stdout>:x", "[1,99999999999999999999]<stdout>:x"}) {
    EXPECT_EQ(named(line), line);
  }
  EXPECT_EQ(with_host_of_rank("[1,0]<stdout>:x", {}, 0), "[1,0]<stdout>:x");
}

TEST(RankTags, pieces_of_lines_are_put_together) {
  RankLines lines;
  EXPECT_EQ(lines.join("[1,1]<stdout>:runs[1,1]<stdout>:"), "[1,1]<stdout>:runs");
  EXPECT_EQ(lines.join("[1,0]<stdout>:a[1,1]<stdout>:b"), "[1,1]<stdout>:b");
  EXPECT_EQ(lines.join("[1,0]<stdout>:"), "[1,0]<stdout>:a");
  EXPECT_EQ(lines.join("[1,0]<stdout>:x[0] = [1,2]"), "[1,0]<stdout>:x[0] = [1,2]");
  for (const char* line : {"", "[", "a [1,0]<stdout>:b", "[1,0]<stdout>"}) {
    EXPECT_EQ(lines.join(line), line);
  }
}

TEST(RankTags, what_failed_first_is_read_last) {
  EXPECT_EQ(without_tags("a\n[1,mpirank:1,algo-1]<stderr>:Traceback (most recent call last):\n"
                         "[1,mpirank:0,algo-1]<stdout>:epoch 1\n"
                         "[1,mpirank:1,algo-1]<stderr>:ValueError: no\n"
                         "[1,mpirank:2,algo-2]<stdout>:epoch 1\n"),
            "a\n\nepoch 1\nepoch 1\nTraceback (most recent call last):\nValueError: no\n");
  EXPECT_EQ(without_tags("no\ntags"), "no\ntags");
}

TEST(Arrangement, survives_its_file) {
  Arrangement one;
  one.kind = Kind::mpi_worker;
  one.command = {"a", "b c"};
  one.ranks = {"r"};
  one.python = "/p";
  one.server = {"d"};
  one.host = "algo-2";
  one.hosts = {"algo-1", "algo-2"};
  one.processes_per_host = 3;
  one.port = 65535;
  one.secret = "s";
  auto parsed = parse_arrangement(to_json(one));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(to_json(*parsed), to_json(one));
  for (const char* name : {"kind", "host", "hosts", "port", "secret", "processes_per_host"}) {
    json::object less = to_json(one);
    less.erase(name);
    EXPECT_FALSE(parse_arrangement(less)) << name;
  }
}

// A listener, and the result of whoever connects next.
class WireTest : public testing::Test {
 protected:
  WireTest() : listener_(listen_on(0).value()) { ::signal(SIGPIPE, SIG_IGN); }
  uint16_t port() const { return port_of(listener_.get()); }

  Fd listener_;
};

TEST_F(WireTest, a_request_under_the_jobs_secret_arrives) {
  Result<Fd> asked = fail(Code::internal, "not yet");
  std::jthread client([&] { asked = ask("127.0.0.1", port(), "secret", {{"do", "join"}}); });
  auto request = accept_request(listener_.get(), "secret");
  client.join();
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(json::find_string(request->document, "do"), "join");
  ASSERT_TRUE(write_all(request->connection.get(), "exit 3\n"));
  EXPECT_EQ(read_line(asked->get()), "exit 3");
  request->connection.reset();
  EXPECT_EQ(read_line(asked->get()), std::nullopt);
}

TEST_F(WireTest, another_secret_is_refused) {
  Result<Fd> asked = fail(Code::internal, "not yet");
  std::jthread client([&] { asked = ask("127.0.0.1", port(), "guess", {{"do", "run"}}); });
  EXPECT_EQ(accept_request(listener_.get(), "secret").error().code, Code::denied);
  client.join();
  EXPECT_EQ(asked.error().code, Code::denied);
}

TEST_F(WireTest, what_was_heard_cannot_be_said_again) {
  std::string heard;
  for (int round = 0; round < 2; ++round) {
    Fd connection(::socket(AF_INET, SOCK_STREAM, 0));
    std::jthread client([&] {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
      ASSERT_EQ(::connect(connection.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
      auto greeting = read_line(connection.get());
      ASSERT_TRUE(greeting);
      std::string text = R"({"do":"join"})";
      if (round == 0) heard = signature("secret", greeting->substr(14) + text) + text + "\n";
      ASSERT_TRUE(write_all(connection.get(), heard));
    });
    EXPECT_EQ(accept_request(listener_.get(), "secret").has_value(), round == 0);
  }
}

TEST_F(WireTest, rubbish_is_refused) {
  for (const std::string& rubbish :
       {std::string("\n"), std::string("x\n"), std::string(100'000, 'x'),
        std::string(64, '0') + "\n", std::string()}) {
    Fd connection(::socket(AF_INET, SOCK_STREAM, 0));
    std::jthread client([&] {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
      ASSERT_EQ(::connect(connection.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
      static_cast<void>(write_all(connection.get(), rubbish));
      ::shutdown(connection.get(), SHUT_WR);
    });
    EXPECT_EQ(accept_request(listener_.get(), "secret").error().code, Code::denied);
  }
}

TEST_F(WireTest, a_port_is_listened_on_or_not) {
  uint16_t number = port();
  EXPECT_TRUE(is_listening("127.0.0.1", number));
  EXPECT_EQ(listen_on(number).error().code, Code::unavailable);
  listener_.reset();
  EXPECT_FALSE(is_listening("127.0.0.1", number));
  EXPECT_EQ(ask("127.0.0.1", number, "s", {}).error().code, Code::unavailable);
  EXPECT_EQ(ask("no-such-host.invalid", number, "s", {}).error().code, Code::unavailable);
}

// The script and the server are shells here; real ones: tests/training/test_distributed.py.
class ParameterServerTest : public testing::Test {
 protected:
  ParameterServerTest() {
    arrangement_.kind = Kind::parameter_server;
    arrangement_.host = "algo-1";
    arrangement_.hosts = {"algo-1", "algo-2"};
    arrangement_.port = 1;
    arrangement_.server = {"/bin/sh", "-c", "echo serves; exec sleep 1000"};
  }
  int run(const std::string& script) {
    arrangement_.command = {"/bin/sh", "-c", script};
    return run_with_server(arrangement_).value_or(-1);
  }

  Arrangement arrangement_;
};

TEST_F(ParameterServerTest, the_scripts_status_is_the_instances) {
  EXPECT_EQ(run("exit 0"), 0);
  EXPECT_EQ(run("exit 7"), 7);
  EXPECT_EQ(run("kill -9 $$"), 137);
  EXPECT_EQ(run("no-such-program"), 127);
}

TEST_F(ParameterServerTest, a_server_that_ends_takes_the_script_with_it) {
  arrangement_.server = {"/bin/sh", "-c", "echo 'port is taken'; exit 3"};
  EXPECT_EQ(run("exec sleep 1000"), 1);
  EXPECT_EQ(run("trap '' TERM; exec sleep 1000"), 1);
  arrangement_.server = {"/no/such/python"};
  EXPECT_EQ(run("exec sleep 1000"), 1);
}

TEST_F(ParameterServerTest, a_worker_waits_until_the_leaders_port_is_closed) {
  Signals blocked;  // in all threads, so that the loop hears of children
  Fd leader = listen_on(0).value();
  arrangement_.hosts = {"localhost", "algo-2"};
  arrangement_.host = "algo-2";
  arrangement_.port = port_of(leader.get());
  // The listener of this process is closed by a child's end: it holds the last copy.
  pid_t holder = ::fork();
  if (holder == 0) {
    ::pause();
    ::_exit(0);
  }
  leader.reset();
  std::string folder = fs::temp_directory_path() / ("launch-" + random_hex(4));
  std::jthread ends([&] {
    while (!fs::exists(folder)) std::this_thread::yield();
    ::kill(holder, SIGKILL);
  });
  EXPECT_EQ(run("mkdir " + folder), 0);
  EXPECT_FALSE(is_listening("localhost", arrangement_.port));
  fs::remove(folder);
}

}  // namespace trainyard::launch
