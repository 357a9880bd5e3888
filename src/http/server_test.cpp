// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>

#include "base/file.hpp"
#include "base/random.hpp"

namespace trainyard::http {

namespace {

class Peer {
 public:
  explicit Peer(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval limit{30, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }

  void send(std::string_view bytes) { EXPECT_TRUE(write_all(socket_.get(), bytes)); }

  // Reads until what came ends with `ending`, or the server closes.
  std::string read_until(std::string_view ending) {
    std::string text;
    std::array<char, 65536> chunk;
    while (!text.ends_with(ending)) {
      ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
      if (count <= 0) break;
      text.append(chunk.data(), static_cast<size_t>(count));
    }
    return text;
  }
  std::string read_to_end() { return read_until(std::string_view("\0never", 6)); }
  void finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  Fd socket_;
};

Response echo(Request& request) {
  if (request.path == "/throw") throw std::runtime_error("a library's exception");
  if (request.path == "/refuse") return Response{403, {}, "refused"};
  auto body = read_all(*request.body, 1 << 20);
  if (!body) {
    return Response{400, {}, fmt::format("{}: {}", name(body.error().code), body.error().message)};
  }
  return Response{200, {}, request.method + " " + request.path + " [" + *body + "]"};
}

}  // namespace

class ServerTest : public testing::Test {
 protected:
  void start(Handler handler) { server_ = Server::start({}, std::move(handler)).value(); }
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, one_connection_carries_many_requests_even_pipelined) {
  start(echo);
  Peer peer(server_->port());
  peer.send("GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(peer.read_until("[]").starts_with("HTTP/1.1 200 OK\r\n"));
  peer.send(
      "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz"
      "GET /c HTTP/1.1\r\nHost: h\r\n\r\n");
  std::string answers = peer.read_until("GET /c []");
  EXPECT_NE(answers.find("PUT /b [xyz]"), std::string::npos);
}

TEST_F(ServerTest, a_body_is_asked_for_only_when_the_handler_wants_it) {
  start(echo);
  Peer peer(server_->port());
  peer.send("PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(peer.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("ok");
  EXPECT_TRUE(peer.read_until("]").ends_with("[ok]"));
  peer.send("PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  std::string refused = peer.read_to_end();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 403 Forbidden\r\n")) << refused;
  EXPECT_NE(refused.find("Connection: close"), std::string::npos);
}

TEST_F(ServerTest, a_body_shorter_than_announced_is_an_error_of_the_read) {
  start(echo);
  Peer peer(server_->port());
  peer.send("PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  peer.finish_sending();
  std::string answer = peer.read_to_end();
  EXPECT_NE(answer.find("invalid: "), std::string::npos) << answer;
  EXPECT_NE(answer.find("7 bytes before the end"), std::string::npos) << answer;
}

TEST_F(ServerTest, a_chunked_body_is_put_together_and_the_next_request_follows_it) {
  start(echo);
  Peer peer(server_->port());
  std::string head = "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n";
  peer.send(head + "\r\n5\r\nhel");
  peer.send("lo\r\nA;name=value\r\n, in piece\r\n1\r\ns\r\n0\r\nTrailer: x\r\n\r\n");
  EXPECT_TRUE(peer.read_until("]").ends_with("PUT /c [hello, in pieces]"));
  peer.send(head + "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(peer.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("0\r\n\r\nGET /after HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(peer.read_until("GET /after []").ends_with("GET /after []"));
}

TEST_F(ServerTest, malformed_requests_are_refused_and_the_server_lives_on) {
  start(echo);
  auto answer_to = [&](std::string_view request) {
    Peer peer(server_->port());
    peer.send(request);
    peer.finish_sending();
    return peer.read_to_end().substr(0, 12);
  };
  EXPECT_EQ(answer_to("nonsense\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to("GET http://x/ HTTP/1.1\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to("PUT /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), "HTTP/1.1 400");
  std::string chunked = "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n";
  EXPECT_EQ(answer_to(chunked + "Content-Length: 3\r\n\r\n0\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to(chunked + "\r\n3\r\nabcd\r\n0\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to(chunked + "\r\n-3\r\nabc\r\n0\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to(chunked + "\r\nffffffffffffffffff\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to(chunked + "\r\n3\r\nab"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to("GET /x HTTP/1.1\r\nA: " + std::string(70 << 10, 'a')), "HTTP/1.1 431");
  EXPECT_EQ(answer_to("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 500");
  EXPECT_EQ(answer_to("GET /fine HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 200");
}

TEST_F(ServerTest, a_file_is_sent_in_ranges_and_head_only_announces_it) {
  fs::path path = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  ASSERT_TRUE(write_file_atomically(path, std::string(1 << 20, 'a') + "tail"));
  auto file = std::make_shared<Fd>(open_file(path, O_RDONLY).value());
  fs::remove(path);
  start([&](Request&) { return Response{206, {}, FileRange{file, (1 << 20) - 2, 6}}; });
  Peer peer(server_->port());
  peer.send("HEAD /f HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(peer.read_until("\r\n\r\n").find("Content-Length: 6\r\n"), std::string::npos);
  peer.send("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(peer.read_until("tail").ends_with("\r\n\r\naatail"));
}

TEST_F(ServerTest, idle_connections_hold_no_worker) {
  ServerOptions options;
  options.max_workers = 1;
  server_ = Server::start(options, echo).value();
  std::vector<std::unique_ptr<Peer>> idle;
  for (int i = 0; i < 50; ++i) idle.push_back(std::make_unique<Peer>(server_->port()));
  for (auto& peer : idle) {
    peer->send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(peer->read_until("[]").ends_with("GET /a []"));
  }
}

TEST_F(ServerTest, an_address_in_use_is_an_error_that_names_it) {
  start(echo);
  ServerOptions options;
  options.port = server_->port();
  auto second = Server::start(options, echo);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(std::to_string(server_->port())), std::string::npos);
}

TEST(Server, a_process_out_of_descriptors_refuses_and_recovers) {
  auto hello = [](Request&) { return Response{200, {}, std::string("hello")}; };
  auto server = Server::start({}, hello).value();
  uint16_t port = server->port();
  std::vector<Fd> used;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 200;
  ::setrlimit(RLIMIT_NOFILE, &few);
  Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (;;) {
    Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd) break;
    used.push_back(std::move(fd));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  char byte = 0;
  EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 0) << "closed, not left hanging";
  used.clear();
  ::setrlimit(RLIMIT_NOFILE, &before);
  // The next one may still come a moment too early.
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i) {
    Peer peer(port);
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    answer = peer.read_until("hello");
  }
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
}

}  // namespace trainyard::http
