// SPDX-License-Identifier: Apache-2.0
// What needs no daemon.
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "docker/client.hpp"
#include "docker/forwarder.hpp"
#include "docker/frames.hpp"
#include "docker/image_check.hpp"
#include "docker/pull.hpp"
#include "docker/registry_auth.hpp"

namespace trainyard::docker {

namespace {

std::string frame(char stream, std::string_view payload) {
  std::string header{stream, 0, 0, 0};
  for (int shift : {24, 16, 8, 0}) header += static_cast<char>((payload.size() >> shift) & 0xff);
  return header + std::string(payload);
}

json::object object(std::string_view text) {
  return json::parse_object(text).value();
}

}  // namespace

TEST(Host, is_a_socket_or_an_address_with_tls) {
  EXPECT_EQ(parse_host("unix:///run/docker.sock", "")->unix_socket, "/run/docker.sock");
  EXPECT_EQ(parse_host("tcp://10.0.0.7:2376", "/tls")->base_url, "https://10.0.0.7:2376");
  EXPECT_EQ(parse_host("tcp://127.0.0.1:2375/", "")->base_url, "http://127.0.0.1:2375");
  EXPECT_EQ(parse_host("tcp://10.0.0.7:2375", "").error().code, Code::denied);
  for (const char* wrong : {"", "unix://", "unix://run", "tcp://", "tcp://:1", "tcp://h",
                            "tcp://h:0", "tcp://h:99999", "tcp://u@h:1", "ssh://h", "http://h:1"}) {
    EXPECT_FALSE(parse_host(wrong, "/tls")) << wrong;
  }
  EXPECT_FALSE(parse_host("unix:///" + std::string(200, 'x'), ""));
}

TEST(Reference, has_the_parts_that_docker_sees) {
  auto plain = parse_reference("ubuntu").value();
  EXPECT_EQ(plain.registry, "docker.io");
  EXPECT_EQ(plain.version(), "latest");
  auto ecr = parse_reference("1.dkr.ecr.us-west-2.amazonaws.com/a/b:2.19-cpu").value();
  EXPECT_EQ(ecr.registry, "1.dkr.ecr.us-west-2.amazonaws.com");
  EXPECT_EQ(ecr.repository, "1.dkr.ecr.us-west-2.amazonaws.com/a/b");
  EXPECT_EQ(ecr.tag, "2.19-cpu");
  auto port = parse_reference("localhost:5000/mine").value();
  EXPECT_EQ(port.registry, "localhost:5000");
  EXPECT_EQ(port.repository, "localhost:5000/mine");
  EXPECT_EQ(port.tag, "latest");
  auto digest = parse_reference("host.example/a:1@sha256:abc").value();
  EXPECT_EQ(digest.version(), "sha256:abc");
  EXPECT_EQ(parse_reference("me/mine")->registry, "docker.io");
}

TEST(Reference, refuses_what_would_become_another_request) {
  for (const char* wrong :
       {"", " ", "a b", "a?x=1", "a#b", "a:", "a@", "a@sha256", "/a", "a/", "a//b", "A/b", "a\nb",
        "a:b:c", "a@b@c", "host.example/", "a%2F..", "../x y"}) {
    EXPECT_FALSE(parse_reference(wrong)) << wrong;
  }
}

TEST(Frames, come_whole_however_they_arrive) {
  std::string stream = frame(1, "one\n") + frame(2, "") + frame(2, std::string(70'000, 'x'));
  for (size_t step : {1ul, 3ul, 9ul, 4096ul, stream.size()}) {
    std::vector<std::string> got;
    FrameParser parser([&](std::string_view payload) -> Result<> {
      got.emplace_back(payload);
      return {};
    });
    for (size_t at = 0; at < stream.size(); at += step) {
      ASSERT_TRUE(parser.push(std::string_view(stream).substr(at, step)));
    }
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(got[0], "one\n");
    EXPECT_EQ(got[2].size(), 70'000u);
  }
}

TEST(Frames, that_are_none_are_an_error) {
  auto take = [](std::string_view) { return Result<>(); };
  EXPECT_FALSE(FrameParser(take).push("plain text of a terminal"));
  EXPECT_FALSE(FrameParser(take).push(std::string_view("\1\0\0\0\xff\xff\xff\xff", 8)));
  EXPECT_FALSE(FrameParser([](std::string_view) -> Result<> {
                 return fail(Code::exhausted, "disk full");
               }).push(frame(1, "x")));
}

TEST(Pull, sums_its_layers) {
  PullProgress progress;
  EXPECT_EQ(progress.text(), "");
  ASSERT_TRUE(progress.push(
      R"({"status":"Downloading","id":"a","progressDetail":{"current":50,"total":100}}
{"status":"Downloading","id":"b","progressDetail":{"current":10,"total":100}}
{"status":"Download complete","id":"a"}
not json
{"status":"Downloading","id":"c","progressDetail":{"current":-5,"total":100}}
{"status":"Down)"));
  EXPECT_EQ(progress.done_bytes(), 110u);
  EXPECT_EQ(progress.text(), "55 % of 200 B");
  ASSERT_TRUE(progress.push(R"(loading","id":"b","progressDetail":{"current":60,"total":100}})"));
  ASSERT_TRUE(progress.finish());
  EXPECT_EQ(progress.done_bytes(), 160u);
}

TEST(Pull, tells_the_registrys_refusal) {
  auto code = [](std::string text) {
    return PullProgress().push(R"({"error":")" + text + "\"}\n").error().code;
  };
  EXPECT_EQ(code("manifest for x:1 not found: manifest unknown"), Code::not_found);
  EXPECT_EQ(code("unauthorized: authentication required"), Code::denied);
  EXPECT_EQ(code("connection reset by peer"), Code::unavailable);
  EXPECT_FALSE(PullProgress().push(std::string(2 << 20, 'x')));
}

TEST(RegistryAuth, is_what_docker_login_left) {
  auto config = object(R"({"auths":{
    "reg.example:5000":{"auth":"bWU6c2VjcmV0OmNvbG9u"},
    "https://index.docker.io/v1/":{"identitytoken":"tok","auth":"bWU6"},
    "broken.example":{"auth":"%%%"}, "odd.example":7}})");
  auto decoded = [&](const std::string& registry) {
    return object(from_base64(auth_in(config, registry)).value());
  };
  EXPECT_EQ(json::find_string(decoded("reg.example:5000"), "username"), "me");
  EXPECT_EQ(json::find_string(decoded("reg.example:5000"), "password"), "secret:colon");
  EXPECT_EQ(json::find_string(decoded("docker.io"), "identitytoken"), "tok");
  EXPECT_EQ(auth_in(config, "other.example"), "");
  EXPECT_EQ(auth_in(config, "broken.example"), "");
  EXPECT_EQ(auth_in(config, "odd.example"), "");
  EXPECT_EQ(registry_auth("/nonexistent/config.json", "docker.io").value(), "");
}

TEST(Version, is_the_newest_that_both_speak) {
  auto of = [](std::string api, std::string oldest) {
    return choose_version(object(R"({"Version":"x","ApiVersion":")" + api +
                                 R"(","MinAPIVersion":")" + oldest + "\"}"));
  };
  EXPECT_EQ(of("1.41", "1.12")->api, "1.41");
  EXPECT_EQ(of("1.52", "1.44")->api, "1.45");
  EXPECT_EQ(of("1.60", "1.50")->api, "1.50");
  EXPECT_FALSE(of("1.39", "1.12"));
  EXPECT_FALSE(of("2.0", "1.12"));
  auto podman = choose_version(
      object(R"({"Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]})"));
  ASSERT_FALSE(podman);
  EXPECT_NE(podman.error().message.find("Podman"), std::string::npos);
}

TEST(Answers, that_lack_everything_are_empty) {
  for (const char* text : {"{}", R"({"State":7,"Config":[],"IPAM":null})",
                           R"({"State":{},"Config":{"Entrypoint":"x"},"IPAM":{"Config":[1]}})"}) {
    EXPECT_EQ(parse_image(object(text)).id, "");
    EXPECT_EQ(parse_network(object(text)).gateway, "");
    EXPECT_EQ(parse_container(object(text)).pid, 0);
  }
}

TEST(ContainerSpec, asks_for_what_a_job_may_have) {
  ContainerSpec spec;
  spec.image = "i";
  spec.entrypoint = {"/bin/sh", "-c"};
  spec.network = "n";
  spec.aliases = {"algo-1"};
  spec.memory_bytes = 1 << 30;
  spec.cpus = 1.5;
  spec.gpus = "0, 1";
  spec.mounts = {{"/up", "/opt/ml/input/data/a", false, "/low", "/work", "v"}};
  auto document = to_json(spec);
  const json::object& host = *json::find_object(document, "HostConfig");
  EXPECT_EQ(json::find_integer(host, "Memory"), 1 << 30);
  EXPECT_EQ(json::find_integer(host, "MemorySwap"), 1 << 30);
  EXPECT_EQ(json::find_integer(host, "NanoCpus"), 1'500'000'000);
  EXPECT_EQ(json::find_bool(host, "Init"), true);
  std::string text = json::serialize(document);
  EXPECT_NE(text.find(R"("o":"lowerdir=/low,upperdir=/up,workdir=/work")"), std::string::npos);
  EXPECT_NE(text.find(R"("DeviceIDs":["0","1"])"), std::string::npos);
  EXPECT_EQ(document.if_contains("Cmd"), nullptr);
  EXPECT_FALSE(can_be_layer("/a:b"));
}

TEST(ImageCheck, looks_where_the_image_would) {
  Image image;
  EXPECT_EQ(candidates("/bin/x", image), std::vector<std::string>{"/bin/x"});
  EXPECT_EQ(candidates("./x", image), std::vector<std::string>{"/./x"});
  EXPECT_EQ(candidates("train", image).size(), 6u);
  image.variables = {"PATH=/a:relative::/b"};
  image.working_dir = "/w";
  EXPECT_EQ(candidates("train", image), (std::vector<std::string>{"/a/train", "/b/train"}));
  EXPECT_EQ(candidates("bin/x", image), std::vector<std::string>{"/w/bin/x"});
}

TEST(Forwarder, knows_its_network) {
  constexpr uint32_t kPeer = 172u << 24 | 18u << 16 | 3;
  EXPECT_TRUE(is_in_subnet(kPeer, "172.18.0.0/16"));
  EXPECT_FALSE(is_in_subnet(kPeer, "172.19.0.0/16"));
  for (const char* wrong :
       {"", "172.18.0.0", "172.18.0.0/", "172.18.0.0/0", "172.18.0.0/33", "x/8"})
    EXPECT_FALSE(is_in_subnet(kPeer, wrong)) << wrong;
}

}  // namespace trainyard::docker
