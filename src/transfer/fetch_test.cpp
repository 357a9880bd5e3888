// SPDX-License-Identifier: Apache-2.0
#include "transfer/fetch.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/random.hpp"
#include "base/text.hpp"
#include "transfer/answer.hpp"
#include "transfer/endpoint.hpp"
#include "transfer/pace.hpp"
#include "transfer/part_file.hpp"

namespace trainyard::transfer {

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("fetch_test-" + random_hex(8));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

Answer parsed(std::string_view lines) {
  return parse_answer(fmt::format("HTTP/1.1 200 OK\r\n{}\r\n", lines)).value();
}

const std::string kMd5 = "\"900150983cd24fb0d6963f7d28e17f72\"";

}  // namespace

TEST(Endpoint, is_taken_apart) {
  struct Row {
    const char* url;
    bool is_tls;
    const char *host, *port, *header;
  };
  for (const Row& row : {Row{"http://127.0.0.1:4600", false, "127.0.0.1", "4600", "127.0.0.1:4600"},
                         {"https://s3.us-west-2.amazonaws.com/", true, "s3.us-west-2.amazonaws.com",
                          "443", "s3.us-west-2.amazonaws.com"},
                         {"http://[::1]:9000", false, "::1", "9000", "[::1]:9000"},
                         {"http://[::1]", false, "::1", "80", "[::1]"}}) {
    auto endpoint = parse_endpoint(row.url);
    ASSERT_TRUE(endpoint) << row.url;
    EXPECT_EQ(endpoint->is_tls, row.is_tls);
    EXPECT_EQ(endpoint->host, row.host);
    EXPECT_EQ(endpoint->port, row.port);
    EXPECT_EQ(endpoint->host_header, row.header);
  }
  for (const char* url : {"", "ftp://x", "http://", "http://:80", "http://a:", "http://a:0",
                          "http://a:70000", "http://a:b", "http://[::1", "http://a/b",
                          "http://a\r\nX: y", "http://u@a", "http://[]:80"}) {
    EXPECT_FALSE(parse_endpoint(url)) << url;
  }
}

TEST(Answer, tells_what_to_expect) {
  using Kind = Expectation::Kind;
  EXPECT_EQ(parsed("").expectation.kind, Kind::length_only);
  EXPECT_EQ(parsed("ETag: " + kMd5 + "\r\n").expectation.kind, Kind::md5);
  EXPECT_EQ(parsed("ETag: \"900150983cd24fb0d6963f7d28e17f72-2\"\r\n").expectation.kind,
            Kind::length_only);
  std::string encrypted = "ETag: " + kMd5 + "\r\nx-amz-server-side-encryption: ";
  EXPECT_EQ(parsed(encrypted + "aws:kms\r\n").expectation.kind, Kind::length_only);
  EXPECT_EQ(parsed(encrypted + "AES256\r\n").expectation.kind, Kind::md5);
  EXPECT_EQ(parsed("X-Amz-Checksum-CRC32: AAAAAA==\r\nETag: " + kMd5 + "\r\n").expectation.name(),
            "CRC32");
  EXPECT_EQ(parsed("x-amz-checksum-crc32: AAAAAA==\r\nx-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n")
                .expectation.name(),
            "CRC64NVME");
  EXPECT_EQ(parsed("x-amz-checksum-crc32: AAAAAA==\r\nx-amz-checksum-type: COMPOSITE\r\n")
                .expectation.kind,
            Kind::length_only);
  for (const char* value : {"AAAAAA==-3", "AAAA", "", "!"}) {
    EXPECT_EQ(parsed(fmt::format("x-amz-checksum-crc32: {}\r\n", value)).expectation.kind,
              Kind::length_only);
  }
}

TEST(Answer, that_is_no_http_is_refused) {
  for (const char* head :
       {"", "\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 206 OK\r\nContent-Range: bytes 5-4/9\r\n\r\n",
        "HTTP/1.1 206 OK\r\nContent-Range: bytes */9\r\n\r\n"}) {
    auto answer = parse_answer(head);
    ASSERT_FALSE(answer) << head;
    EXPECT_EQ(answer.error().code, Code::unavailable);
  }
}

TEST(PartFile, is_gone_on_from_by_the_next_for_the_same_version_only) {
  Folder folder;
  Origin origin{"s3://b/k|\"e\"", 100};
  fs::path target = folder.path / "file";
  {
    auto part = PartFile::open(target, origin).value();
    ASSERT_TRUE(part.write("hello", 0));
    EXPECT_EQ(PartFile::open(target, origin).error().code, Code::unavailable);  // it is held
  }
  EXPECT_EQ(PartFile::open(target, origin).value().kept(), 5u);
  EXPECT_EQ(PartFile::open(target, {origin.text, 101}).value().kept(), 0u);
  EXPECT_EQ(PartFile::open(target, {"other", 100}).value().kept(), 0u);
  EXPECT_EQ(PartFile::open(folder.path / "other", origin).value().kept(), 0u);
  EXPECT_EQ(PartFile::open(target, {origin.text, 100, false}).value().kept(), 0u);
  ASSERT_TRUE(PartFile::open(target, origin).value().commit());
  EXPECT_EQ(read_file(target).value(), "hello");
  EXPECT_EQ(PartFile::open(target, origin).value().kept(), 0u);
}

TEST(PartFile, without_a_version_begins_anew) {
  Folder folder;
  Origin origin{"", 100};
  ASSERT_TRUE(PartFile::open(folder.path / "file", origin).value().write("hello", 0));
  EXPECT_EQ(PartFile::open(folder.path / "file", origin).value().kept(), 0u);
}

TEST(PartFile, that_is_longer_than_the_object_begins_anew) {
  Folder folder;
  Origin origin{"v", 3};
  ASSERT_TRUE(PartFile::open(folder.path / "file", origin).value().write("hello", 0));
  EXPECT_EQ(PartFile::open(folder.path / "file", origin).value().kept(), 0u);
}

TEST(PartFile, that_is_held_is_no_leftover) {
  Folder folder;
  Origin origin{"v", 3};
  fs::path path = folder.path / PartFile::name_of("file", origin);
  {
    auto part = PartFile::open(folder.path / "file", origin).value();
    remove_leftover(path);
    EXPECT_TRUE(fs::exists(path));
  }
  remove_leftover(path);
  EXPECT_FALSE(fs::exists(path));
}

TEST(PartFile, does_not_follow_links) {
  Folder folder;
  Origin origin{"v", 3};
  std::ofstream(folder.path / "precious") << "precious";
  fs::create_symlink(folder.path / "precious", folder.path / PartFile::name_of("file", origin));
  EXPECT_FALSE(PartFile::open(folder.path / "file", origin));
  EXPECT_EQ(read_file(folder.path / "precious").value(), "precious");
}

TEST(Pace, grows_while_more_comes_through_and_goes_back) {
  using std::chrono::milliseconds;
  Pace pace(4, 64);
  Pace::Time now{std::chrono::seconds(1)};
  auto interval = [&](uint64_t amount) {
    now += milliseconds(200);
    return pace.add(amount, now);
  };
  pace.add(0, now);
  EXPECT_EQ(interval(1000), 5u);  // tries one more
  EXPECT_EQ(interval(1200), 6u);  // worth it
  EXPECT_EQ(interval(1210), 5u);  // not worth it
  EXPECT_EQ(interval(1210), 5u);  // rests
  pace.slow_down();
  EXPECT_EQ(pace.limit(), 2u);
  for (int i = 0; i < 10; ++i) pace.slow_down();
  EXPECT_EQ(pace.limit(), 1u);
  for (uint64_t i = 0, rate = 1000; i < 40; ++i, rate *= 2) interval(rate);
  EXPECT_EQ(pace.limit(), 64u);
}

}  // namespace trainyard::transfer
