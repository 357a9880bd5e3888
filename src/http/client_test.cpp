// SPDX-License-Identifier: Apache-2.0
#include "http/client.hpp"

#include <gtest/gtest.h>

#include "http/server.hpp"

namespace trainyard::http {

namespace {

std::unique_ptr<Server> echo_server() {
  auto echo = [](Request& request) {
    std::string body = read_all(*request.body, 1 << 20).value_or("broken");
    Response response;
    response.status = request.path == "/missing" ? 404 : 200;
    response.headers = {{"X-Path", request.path + "?" + request.query},
                        {"X-Type", std::string(request.headers.get("Content-Type"))}};
    response.body = request.method + " " + body;
    return response;
  };
  return Server::start({}, echo).value();
}

Call call_to(const Server& server, std::string path) {
  Call call;
  call.url = fmt::format("http://127.0.0.1:{}{}", server.port(), path);
  return call;
}

}  // namespace

TEST(Client, sends_path_and_body_as_they_are_and_any_status_is_an_answer) {
  auto server = echo_server();
  Client client;
  Call call = call_to(*server, "/b/../a%2Fb//?x=%20");
  call.method = "PUT";
  call.body = "hello";
  auto answer = client.send(call);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "PUT hello");
  EXPECT_EQ(answer->headers.get("x-path"), "/b/../a%2Fb//?x=%20");
  EXPECT_EQ(answer->headers.get("x-type"), "");
  EXPECT_EQ(client.send(call_to(*server, "/missing"))->status, 404);
}

TEST(Client, streams_both_ways) {
  auto server = echo_server();
  Client client;
  Call call = call_to(*server, "/");
  TextBody source(std::string(300'000, 'x'));
  call.method = "POST";
  call.source = &source;
  size_t received = 0;
  call.sink = [&](int, std::string_view bytes) -> Result<> {
    received += bytes.size();
    return {};
  };
  ASSERT_TRUE(client.send(call));
  EXPECT_EQ(received, 300'005u);
  call = call_to(*server, "/");
  call.sink = [](int, std::string_view) -> Result<> { return fail(Code::exhausted, "disk full"); };
  EXPECT_EQ(client.send(call).error().message, "disk full");
}

TEST(Client, nobody_there_is_unavailable) {
  Client client;
  Call call;
  call.url = "http://127.0.0.1:1/";
  EXPECT_EQ(client.send(call).error().code, Code::unavailable);
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(client.send(call, source.get_token()).error().code, Code::cancelled);
}

}  // namespace trainyard::http
