// SPDX-License-Identifier: Apache-2.0
#include "proxy/connect.hpp"

#include <gtest/gtest.h>

#include "proxy/proxy.hpp"

namespace trainyard::proxy {

namespace {

// "host port authorization", or the status of the refusal.
std::string parsed(const std::string& target, const std::string& fields = "") {
  auto request = parse_connect("CONNECT " + target + " HTTP/1.1\r\n" + fields + "\r\n");
  if (!request) return std::to_string(request.error().status);
  return request->host + " " + std::to_string(request->port) + " " + request->authorization;
}

}  // namespace

TEST(Connect, host_port_and_authorization_are_read) {
  EXPECT_EQ(parsed("STS.us-west-2.amazonaws.com:443",
                   "Host: x\r\nproxy-authorization:  Basic eA=="
                   "\r\nA: b\r\n"),
            "sts.us-west-2.amazonaws.com 443 Basic eA==");
  EXPECT_EQ(parsed("h.:1"), "h 1 ");
  EXPECT_EQ(parsed("[::1]:65535"), "::1 65535 ");
  EXPECT_EQ(parsed("my_bucket.s3.amazonaws.com:443"), "my_bucket.s3.amazonaws.com 443 ");
}

TEST(Connect, bad_targets_are_refused) {
  for (std::string target :
       {"", "h", "h:", ":443", "h:0", "h:65536", "h:-1", "h:4x", "a..b:1", ".a:1", "*.a:1",
        "a,DNS=b:1", "a/b:1", "u@h:1", "[::1:1", "[<>]:1", "http://h:1", "h:1:2"}) {
    EXPECT_EQ(parsed(target), "400") << target;
  }
  EXPECT_EQ(parsed(std::string(64, 'a') + ":1"), "400");
  std::string long_name;
  for (int i = 0; i < 130; ++i) long_name += "a.";
  EXPECT_EQ(parsed(long_name + "a:1"), "400");
}

TEST(Connect, other_methods_and_nonsense_are_refused_with_the_way_out) {
  auto plain = parse_connect("GET http://h/ HTTP/1.1\r\n\r\n");
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().status, 405);
  EXPECT_NE(plain.error().text.find("HTTPS_PROXY"), std::string::npos);
  EXPECT_EQ(parse_connect("\x16\x03\x01").error().status, 400);
  EXPECT_EQ(parse_connect("").error().status, 400);
  EXPECT_EQ(parse_connect("CONNECT h:1 SPDY/3\r\n\r\n").error().status, 400);
}

TEST(Connect, amazon_is_one_domain) {
  EXPECT_TRUE(is_amazon("amazonaws.com"));
  EXPECT_TRUE(is_amazon("b.s3.us-west-2.amazonaws.com"));
  EXPECT_FALSE(is_amazon("sts.cn-north-1.amazonaws.com.cn"));
  EXPECT_FALSE(is_amazon("evilamazonaws.com"));
  EXPECT_FALSE(is_amazon("amazonaws.com.example.com"));
}

TEST(Connect, addresses_of_proxies_and_services_are_taken_apart) {
  auto address = parse_address("http://me:a%40b@proxy.example:3128/").value();
  EXPECT_EQ(address.host, "proxy.example");
  EXPECT_EQ(address.port, 3128);
  EXPECT_EQ(address.user_info, "me:a@b");
  EXPECT_EQ(parse_address("https://h").value().port, 443);
  EXPECT_EQ(parse_address("http://[::1]").value().host, "::1");
  EXPECT_EQ(parse_address("http://[::1]:5").value().port, 5);
  for (std::string url : {"", "h:1", "ftp://h", "http://", "http://h:x", "http://:80"}) {
    EXPECT_FALSE(parse_address(url)) << url;
  }
}

}  // namespace trainyard::proxy
