// SPDX-License-Identifier: Apache-2.0
#include "proxy/proxy.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/socket.h>

#include <array>

#include "base/random.hpp"
#include "base/text.hpp"
#include "http/server.hpp"
#include "proxy/stream.hpp"

namespace trainyard::proxy {

namespace {

http::Response echo(http::Request& request) {
  auto body = http::read_all(*request.body, 64 << 20);
  return {200, {}, fmt::format("{} {}", request.headers.get("Host"), body.value_or("?"))};
}

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
  std::string read_until(std::string_view ending) {
    std::string text;
    std::array<char, 1024> chunk;
    while (!text.ends_with(ending)) {
      ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
      if (count <= 0) break;
      text.append(chunk.data(), static_cast<size_t>(count));
    }
    return text;
  }
  std::string read_to_end() { return read_until(std::string_view("\0never", 6)); }
  void finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  Fd take_socket() { return std::move(socket_); }

 private:
  Fd socket_;
};

// A TLS client that wants exactly `host`, on a connection that leads to it.
class TlsPeer {
 public:
  TlsPeer(Fd socket, const std::string& host, const std::string& root)
      : socket_(std::move(socket)), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    std::unique_ptr<BIO, int (*)(BIO*)> memory(
        BIO_new_mem_buf(root.data(), static_cast<int>(root.size())), BIO_free);
    std::unique_ptr<X509, void (*)(X509*)> certificate(
        PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr), X509_free);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), certificate.get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    session_.reset(SSL_new(context_.get()));
    SSL_set_fd(session_.get(), socket_.get());
    SSL_set1_host(session_.get(), host.c_str());
    is_connected_ = SSL_connect(session_.get()) == 1;
  }

  bool is_connected() const { return is_connected_; }
  void send(std::string_view bytes) {
    EXPECT_EQ(SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  std::string read_until(std::string_view ending) {
    std::string text;
    std::array<char, 65536> chunk;
    while (!text.ends_with(ending)) {
      int count = SSL_read(session_.get(), chunk.data(), chunk.size());
      if (count <= 0) break;
      text.append(chunk.data(), static_cast<size_t>(count));
    }
    return text;
  }

 private:
  Fd socket_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> session_{nullptr, SSL_free};
  bool is_connected_ = false;
};

std::string connect_head(const std::string& target, const std::string& password) {
  return fmt::format("CONNECT {} HTTP/1.1\r\nProxy-Authorization: Basic {}\r\n\r\n", target,
                     to_base64("trainyard:" + password));
}

}  // namespace

class ProxyTest : public testing::Test {
 protected:
  void SetUp() override {
    service_ = http::Server::start({}, echo).value();
    authority_ = Authority::open(folder_, clock_).value();
    options_.service = {false, "127.0.0.1", service_->port(), ""};
    options_.token = "t0ken";
  }
  void TearDown() override {
    proxy_.reset();
    static_cast<void>(remove_tree(folder_));
  }

  Peer peer() {
    if (!proxy_) proxy_ = Proxy::start(options_, *authority_).value();
    return Peer(proxy_->port());
  }
  TlsPeer connect(const std::string& host, const std::string& wanted) {
    Peer made = peer();
    made.send(connect_head(host + ":443", "t0ken"));
    EXPECT_TRUE(made.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
    return TlsPeer(made.take_socket(), wanted, authority_->certificate_pem());
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  SystemClock clock_;
  std::unique_ptr<http::Server> service_;
  std::unique_ptr<Authority> authority_;
  ProxyOptions options_;
  std::unique_ptr<Proxy> proxy_;
};

TEST_F(ProxyTest, an_amazon_host_is_the_service_with_a_certificate_of_that_name) {
  TlsPeer client = connect("b.s3.us-west-2.amazonaws.com", "b.s3.us-west-2.amazonaws.com");
  ASSERT_TRUE(client.is_connected());
  // Two requests on one connection, the host untouched.
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: b.s3.us-west-2.amazonaws.com\r\n\r\n");
    EXPECT_TRUE(client.read_until("amazonaws.com ").ends_with("\r\nb.s3.us-west-2.amazonaws.com "));
  }
  EXPECT_FALSE(connect("sts.amazonaws.com", "iam.amazonaws.com").is_connected());
}

TEST_F(ProxyTest, large_bodies_continue_and_chunks_pass_both_ways) {
  TlsPeer client = connect("s3.amazonaws.com", "s3.amazonaws.com");
  ASSERT_TRUE(client.is_connected());
  std::string body(8 << 20, 'x');
  body += "end";
  client.send(
      fmt::format("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                  "Content-Length: {}\r\n\r\n",
                  body.size()));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(body);
  std::string answer = client.read_until("end");
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), "h " + body);
  client.send(
      "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
  EXPECT_TRUE(client.read_until("ab").ends_with("h ab"));
}

TEST_F(ProxyTest, other_hosts_and_ports_are_passed_through_as_they_are) {
  std::string target = fmt::format("127.0.0.1:{}", service_->port());
  Peer direct = peer();
  direct.send(connect_head(target, "t0ken") + "GET / HTTP/1.1\r\nHost: early\r\n\r\n");
  EXPECT_TRUE(direct.read_until("early ").ends_with("\r\n\r\nearly "));
  // Through this proxy to another one, which wants a password of its own.
  options_.parent = Address{false, "127.0.0.1", proxy_->port(), "trainyard:t0ken"};
  auto second = Proxy::start(options_, *authority_).value();
  Peer chained(second->port());
  chained.send(connect_head(target, "t0ken"));
  EXPECT_TRUE(chained.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  chained.send("GET / HTTP/1.1\r\nHost: late\r\n\r\n");
  EXPECT_TRUE(chained.read_until("late ").ends_with("\r\n\r\nlate "));
  options_.parent->user_info = "trainyard:wrong";
  auto third = Proxy::start(options_, *authority_).value();
  Peer refused(third->port());
  refused.send(connect_head(target, "t0ken"));
  EXPECT_NE(refused.read_to_end().find("407 Proxy Authentication Required"), std::string::npos);
}

TEST_F(ProxyTest, who_does_not_know_the_password_is_refused) {
  for (std::string head : {connect_head("sts.amazonaws.com:443", "wrong"),
                           std::string("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")}) {
    Peer client = peer();
    client.send(head);
    std::string answer = client.read_to_end();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 407 ")) << answer;
    EXPECT_NE(answer.find("Proxy-Authenticate: Basic"), std::string::npos);
  }
}

TEST_F(ProxyTest, hostile_clients_are_refused_or_dropped_and_the_proxy_lives_on) {
  options_.head_limit = std::chrono::milliseconds(200);
  auto answer_to = [&](std::string_view bytes) {
    Peer client = peer();
    client.send(bytes);
    return client.read_to_end().substr(0, 12);
  };
  EXPECT_EQ(answer_to("GET http://h/ HTTP/1.1\r\n\r\n"), "HTTP/1.1 405");
  EXPECT_EQ(answer_to("nonsense\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to("CONNECT h:1 HTTP/1.1\r\nA: " + std::string(17 << 10, 'a')), "HTTP/1.1 431");
  EXPECT_EQ(answer_to("CONNECT h"), "") << "a slow one is dropped";
  EXPECT_EQ(answer_to(connect_head("127.0.0.1:1", "t0ken")), "HTTP/1.1 502");
  EXPECT_EQ(answer_to(connect_head("sts.amazonaws.com:443", "t0ken")), "HTTP/1.1 200")
      << "and no TLS follows";
  { peer().send("CONNECT "); }
  TlsPeer client = connect("sts.amazonaws.com", "sts.amazonaws.com");
  EXPECT_TRUE(client.is_connected());
}

TEST_F(ProxyTest, connections_beyond_the_limit_are_closed_until_others_end) {
  options_.max_connections = 2;
  Peer first = peer();
  std::optional<Peer> second = peer();
  std::string target = fmt::format("127.0.0.1:{}", service_->port());
  first.send(connect_head(target, "t0ken"));
  second->send(connect_head(target, "t0ken"));
  EXPECT_NE(first.read_until("\r\n\r\n") + second->read_until("\r\n\r\n"), "");
  EXPECT_EQ(peer().read_to_end(), "");
  second.reset();
  std::string answer;
  for (int i = 0; i < 1000 && answer.empty(); ++i) {
    Peer next = peer();
    next.send(connect_head(target, "t0ken"));
    answer = next.read_until("\r\n\r\n");
  }
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
}

TEST_F(ProxyTest, a_service_that_does_not_answer_is_a_502_that_says_so) {
  service_.reset();
  Peer client = peer();
  client.send(connect_head("sts.amazonaws.com:443", "t0ken"));
  std::string answer = client.read_to_end();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 Bad Gateway")) << answer;
  EXPECT_NE(answer.find("trainyard does not answer"), std::string::npos);
}

TEST_F(ProxyTest, its_end_ends_all_connections) {
  Peer waiting = peer();
  Peer connected = peer();
  connected.send(connect_head(fmt::format("127.0.0.1:{}", service_->port()), "t0ken"));
  EXPECT_TRUE(connected.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  proxy_.reset();
  EXPECT_EQ(waiting.read_to_end() + connected.read_to_end(), "");
}

}  // namespace trainyard::proxy
