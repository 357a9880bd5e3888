// SPDX-License-Identifier: Apache-2.0
#include "transfer/object_writer.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/guarded.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "http/server.hpp"
#include "objects/checksum.hpp"
#include "transfer/folder_upload.hpp"

namespace trainyard::transfer {

// Multipart uploads of one server whose answers a test can spoil.
class ObjectWriterTest : public testing::Test {
 protected:
  struct Stored {
    std::map<std::string, std::string> objects;  // by path
    std::map<int, std::string> parts;            // of the upload that runs
    std::set<std::string> wrong_checksums;
    std::map<std::string, int> requests;  // by method and kind
  };
  // A response to give instead; nothing: the request is served.
  using Spoil = std::function<std::optional<http::Response>(const std::string& kind, int number)>;

  void SetUp() override {
    auto server = http::Server::start({}, [this](http::Request& request) {
      return answer(request, http::read_all(*request.body, 1 << 30));
    });
    ASSERT_TRUE(server);
    server_ = std::move(*server);
  }

  http::Response answer(const http::Request& request, const Result<std::string>& body) {
    if (!body) return {400, {}, std::string()};
    std::string number = "0";
    bool is_upload = false;
    auto parameters = request.query_parameters().value();
    for (const auto& [name, value] : parameters) {
      if (name == "partNumber") number = value;
      is_upload = is_upload || name == "uploadId";
    }
    std::string kind = request.method + (number != "0" ? " part" : is_upload ? " upload" : "");
    if (request.query.starts_with("uploads")) kind = "POST begin";
    int count = stored_.with([&](Stored& stored) { return ++stored.requests[kind]; });
    if (spoil_) {
      auto spoiled = spoil_(kind, count);
      if (spoiled) return *spoiled;
    }
    return stored_.with(
        [&](Stored& stored) { return serve(stored, kind, std::stoi(number), request, *body); });
  }

  static http::Response serve(Stored& stored, const std::string& kind, int number,
                              const http::Request& request, const std::string& body) {
    if (kind == "POST begin") {
      return {200,
              {},
              std::string("<InitiateMultipartUploadResult><UploadId>u/1</UploadId>"
                          "</InitiateMultipartUploadResult>")};
    }
    if (kind.starts_with("PUT")) {
      auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
      digest->add(body);
      std::string claimed(request.headers.get("x-amz-checksum-crc64nvme"));
      if (claimed != to_base64(digest->finish())) stored.wrong_checksums.insert(claimed);
    }
    if (kind == "PUT part") stored.parts[number] = body;
    if (kind == "PUT") stored.objects[request.path] = body;
    if (kind == "POST upload") {
      for (const auto& [part, bytes] : stored.parts) {
        std::string tag = fmt::format("<ETag>e{}</ETag><PartNumber>{}</PartNumber>", part, part);
        if (body.find(tag) != std::string::npos) stored.objects[request.path] += bytes;
      }
    }
    return {200, {{"ETag", fmt::format("e{}", number)}}, std::string()};
  }

  S3Client client() {
    return S3Client({fmt::format("http://127.0.0.1:{}", server_->port()),
                     "us-west-2",
                     {"AKIDEXAMPLE", "secret", ""}});
  }
  std::string object(const std::string& path) {
    return stored_.with([&](Stored& stored) { return stored.objects[path]; });
  }
  int requests(const std::string& kind) {
    return stored_.with([&](Stored& stored) { return stored.requests[kind]; });
  }

  // Numbers, so that exchanged parts are seen.
  static std::string make_bytes(size_t size) {
    std::string bytes;
    for (size_t i = 0; bytes.size() < size; ++i) bytes += fmt::format("{} ", i);
    bytes.resize(size);
    return bytes;
  }

  Guarded<Stored> stored_;
  Spoil spoil_;
  std::unique_ptr<http::Server> server_;
};

TEST_F(ObjectWriterTest, objects_of_all_sizes_arrive_in_order_with_checksums) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{16} << 20, (size_t{16} << 20) + 1,
                      (size_t{100} << 20) + 12345}) {
    stored_.with([](Stored& stored) { stored = {}; });
    std::string bytes = make_bytes(size);
    S3Client s3 = client();
    ObjectWriter writer(s3, {"bucket", "a b"});
    std::string_view rest = bytes;
    for (size_t piece = 1; !rest.empty(); piece = piece * 3 % 2'000'003 + 1) {
      ASSERT_TRUE(writer.write(rest.substr(0, piece)));
      rest.remove_prefix(std::min(piece, rest.size()));
    }
    auto done = writer.finish();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_TRUE(object("/bucket/a%20b") == bytes) << size;
    EXPECT_EQ(requests("POST begin"), size < size_t{16} << 20 ? 0 : 1);
    EXPECT_TRUE(stored_.with([](Stored& stored) { return stored.wrong_checksums.empty(); }));
  }
  EXPECT_EQ(requests("PUT part"), 7);
}

TEST_F(ObjectWriterTest, a_part_that_fails_is_repeated_alone) {
  spoil_ = [](const std::string& kind, int number) -> std::optional<http::Response> {
    if (kind == "PUT part" && number % 2 == 1) return http::Response{503, {}, std::string()};
    return std::nullopt;
  };
  std::string bytes = make_bytes(70 << 20);
  S3Client s3 = client();
  ObjectWriter writer(s3, {"bucket", "key"});
  ASSERT_TRUE(writer.write(bytes));
  ASSERT_TRUE(writer.finish());
  EXPECT_TRUE(object("/bucket/key") == bytes);
  EXPECT_EQ(requests("PUT part"), 10);
}

TEST_F(ObjectWriterTest, a_part_that_is_refused_ends_the_upload_and_aborts_it) {
  spoil_ = [](const std::string& kind, int number) -> std::optional<http::Response> {
    if (kind != "PUT part" || number < 2) return std::nullopt;
    return http::Response{403, {}, std::string("<Error><Code>AccessDenied</Code></Error>")};
  };
  S3Client s3 = client();
  {
    ObjectWriter writer(s3, {"bucket", "key"});
    std::string bytes = make_bytes(16 << 20);
    Result<> done;
    for (int i = 0; i < 20 && done; ++i) done = writer.write(bytes);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::denied);
    EXPECT_NE(done.error().message.find("AccessDenied"), std::string::npos);
    EXPECT_FALSE(writer.finish());
  }
  EXPECT_EQ(requests("DELETE upload"), 1);
  EXPECT_EQ(requests("POST upload"), 0);
}

TEST_F(ObjectWriterTest, an_error_after_the_200_of_a_completion_is_an_error) {
  spoil_ = [](const std::string& kind, int) -> std::optional<http::Response> {
    if (kind != "POST upload") return std::nullopt;
    return http::Response{200, {}, std::string("<Error><Code>InternalError</Code></Error>")};
  };
  S3Client s3 = client();
  ObjectWriter writer(s3, {"bucket", "key"});
  ASSERT_TRUE(writer.write(make_bytes(17 << 20)));
  auto done = writer.finish();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("InternalError"), std::string::npos);
}

TEST_F(ObjectWriterTest, an_upload_that_is_not_finished_is_aborted) {
  S3Client s3 = client();
  {
    ObjectWriter writer(s3, {"bucket", "key"});
    ASSERT_TRUE(writer.write(make_bytes(40 << 20)));
  }
  EXPECT_EQ(requests("DELETE upload"), 1);
  EXPECT_EQ(object("/bucket/key"), "");
}

TEST_F(ObjectWriterTest, a_folder_becomes_objects) {
  fs::path folder = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  ASSERT_TRUE(make_directories(folder / "deep/er"));
  std::string large = make_bytes(20 << 20);
  ASSERT_TRUE(write_file_atomically(folder / "large", large));
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(write_file_atomically(folder / "deep/er" / fmt::format("{}", i), make_bytes(1000)));
  }
  fs::create_symlink("/etc/passwd", folder / "link");
  S3Client s3 = client();
  auto uploaded = upload_folder(s3, folder, {"bucket", "out"});
  ASSERT_TRUE(uploaded) << uploaded.error().message;
  EXPECT_EQ(uploaded->files, 301U);
  EXPECT_EQ(uploaded->bytes, large.size() + 300 * 1000);
  EXPECT_TRUE(object("/bucket/out/large") == large);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(object(fmt::format("/bucket/out/deep/er/{}", i)).size(), 1000U);
  }

  spoil_ = [](const std::string& kind, int) -> std::optional<http::Response> {
    if (kind != "PUT") return std::nullopt;
    return http::Response{403, {}, std::string("<Error><Code>AccessDenied</Code></Error>")};
  };
  auto refused = upload_folder(s3, folder, {"bucket", "out"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied);
  static_cast<void>(remove_tree(folder));
}

}  // namespace trainyard::transfer
