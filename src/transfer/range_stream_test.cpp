// SPDX-License-Identifier: Apache-2.0
#include "transfer/range_stream.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "base/text.hpp"
#include "http/server.hpp"

namespace trainyard::transfer {
namespace {

constexpr size_t kSize = (3 << 20) + 77;

class RangeStreamTest : public testing::Test {
 protected:
  RangeStreamTest() {
    for (size_t i = 0; i < kSize; ++i) bytes_ += static_cast<char>(i * 2654435761u >> 13);
  }

  // Answers ranges as S3 does, then as `change` makes of it.
  void serve(std::function<void(http::Response&)> change = {}) {
    auto handler = [this, change](http::Request& request) {
      ++requests_;
      if_match_ = std::string(request.headers.get("If-Match"));
      auto range = request.headers.get("Range").substr(6);
      size_t dash = range.find('-');
      uint64_t first = parse_unsigned(range.substr(0, dash)).value();
      uint64_t last = parse_unsigned(range.substr(dash + 1)).value();
      http::Response response;
      response.status = 206;
      response.headers.set("Content-Range", fmt::format("bytes {}-{}/{}", first, last, kSize));
      response.body = bytes_.substr(first, last - first + 1);
      if (change) change(response);
      return response;
    };
    server_ = http::Server::start({}, handler).value();
    stream_.emplace(S3Access{fmt::format("http://127.0.0.1:{}/", server_->port()), "us-west-2", {}},
                    stop_.get_token());
  }

  // Answers with all of it, then as `change` makes of it.
  void serve_whole(std::function<void(http::Response&)> change) {
    auto handler = [this, change](http::Request& request) {
      ++whole_requests_;
      if_match_ = std::string(request.headers.get("If-Match"));
      http::Response response;
      response.headers.set("x-amz-checksum-crc32", "AAAAAA==");
      response.headers.set("x-amz-checksum-type", "FULL_OBJECT");
      response.body = bytes_;
      change(response);
      return response;
    };
    server_ = http::Server::start({}, handler).value();
    stream_.emplace(S3Access{fmt::format("http://127.0.0.1:{}", server_->port()), "us-west-2", {}},
                    stop_.get_token());
  }

  Result<uint64_t> take() {
    got_.clear();
    return stream_->take([&](std::string_view piece) -> Result<> {
      got_ += piece;
      return {};
    });
  }

  Result<uint64_t> read(uint64_t offset, uint64_t length) {
    got_.clear();
    pieces_ = 0;
    return stream_->read({"bucket", "a key"}, "\"etag\"", offset, length,
                         [&](std::string_view piece) -> Result<> {
                           got_ += piece;
                           ++pieces_;
                           if (refuse_) return fail(Code::exhausted, "no more");
                           return {};
                         });
  }

  std::string bytes_;
  std::atomic<int> requests_ = 0;
  std::atomic<int> whole_requests_ = 0;
  std::string if_match_;
  std::unique_ptr<http::Server> server_;
  std::stop_source stop_;
  std::optional<RangeStream> stream_;
  std::string got_;
  int pieces_ = 0;
  bool refuse_ = false;
};

TEST_F(RangeStreamTest, GivesTheBytesOfARange) {
  serve();
  for (auto [offset, length] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, kSize}, {0, 1}, {kSize - 1, 1}, {5, 1 << 20}, {1 << 20, 2 << 20}, {7, 0}}) {
    auto taken = read(offset, length);
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_EQ(*taken, length);
    EXPECT_TRUE(got_ == bytes_.substr(offset, length)) << offset << " " << length;
  }
  EXPECT_EQ(requests_, 5);
  EXPECT_EQ(if_match_, "\"etag\"");
}

TEST_F(RangeStreamTest, LeavesEveryOtherAnswerToTheGeneralClient) {
  for (const auto& change : std::vector<std::function<void(http::Response&)>>{
           [](http::Response& r) { r.status = 200; }, [](http::Response& r) { r.status = 503; },
           [](http::Response& r) { r.status = 412; },
           [](http::Response& r) { r.headers.set("Content-Range", "bytes 1-10/100"); },
           [](http::Response& r) { r.headers = {}; },
           [](http::Response& r) { r.body = std::string("short"); },
           [](http::Response& r) { r.body = std::string(kSize, 'x'); }}) {
    serve(change);
    auto taken = read(0, 10);
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken, 0u);
    EXPECT_EQ(got_, "");
  }
}

TEST_F(RangeStreamTest, AnErrorOfTheTakerEndsTheCallAndTheNextIsWhole) {
  serve();
  refuse_ = true;
  auto taken = read(0, kSize);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::exhausted);
  EXPECT_EQ(pieces_, 1);
  refuse_ = false;
  EXPECT_EQ(read(3, 5000).value(), 5000u);  // not the rest of the answer before
  EXPECT_EQ(got_, bytes_.substr(3, 5000));
}

TEST_F(RangeStreamTest, AServerThatWasStartedAgainIsFoundAgain) {
  serve();
  EXPECT_EQ(read(0, 10).value(), 10u);
  server_.reset();
  EXPECT_EQ(read(0, 10).value(), 0u);  // nobody there: S3Client says why
  serve();
  EXPECT_EQ(read(0, 10).value(), 10u);
}

TEST_F(RangeStreamTest, AStopIsAnError) {
  serve();
  stop_.request_stop();
  auto taken = read(0, 10);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::cancelled);
}

TEST_F(RangeStreamTest, OpensAWholeObjectWithItsChecksum) {
  serve_whole([](http::Response&) {});
  for (auto size : {std::optional<uint64_t>(kSize), std::optional<uint64_t>()}) {
    auto answer = stream_->open({"bucket", "a key"}, "\"etag\"", size).value();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->content_length, kSize);
    EXPECT_EQ(answer->expectation.kind, Expectation::Kind::checksum);
    EXPECT_EQ(take().value(), kSize);
    EXPECT_TRUE(got_ == bytes_);
  }
  EXPECT_EQ(whole_requests_, 2);
  EXPECT_EQ(if_match_, "\"etag\"");
}

TEST_F(RangeStreamTest, GivesPagesWhileThereArePipesForThem) {
  for (size_t pipes : {0, 1, 2, 100}) {
    serve_whole([](http::Response&) {});
    ASSERT_TRUE(stream_->open({"bucket", "a key"}, "", kSize).value());
    got_.clear();
    auto mirror = PagePipe::make().value();
    size_t paged = 0;
    auto empty = [&] { return pipes-- > 0 ? PagePipe::make() : std::nullopt; };
    auto take_pages = [&](PagePipe filled) -> Result<> {
      paged += filled.size();
      return filled.show(mirror, [&](std::string_view bytes) { got_ += bytes; });
    };
    auto take_piece = [&](std::string_view piece) -> Result<> {
      got_ += piece;
      return {};
    };
    bool has_pipes = pipes > 0;
    EXPECT_EQ(stream_->take(take_piece, {empty, take_pages}).value(), kSize);
    EXPECT_TRUE(got_ == bytes_);
    EXPECT_EQ(paged > 0, has_pipes);
  }
}

TEST_F(RangeStreamTest, LeavesOtherAnswersForAWholeObjectToTheGeneralClient) {
  for (const auto& change : std::vector<std::function<void(http::Response&)>>{
           [](http::Response& r) { r.status = 206; }, [](http::Response& r) { r.status = 404; },
           [](http::Response& r) { r.body = std::string("short"); }}) {
    serve_whole(change);
    auto answer = stream_->open({"bucket", "a key"}, "", kSize);
    ASSERT_TRUE(answer);
    EXPECT_FALSE(*answer);
  }
}

TEST_F(RangeStreamTest, AnEmptyObjectHasNoBytes) {
  serve_whole([](http::Response& response) { response.body = std::string(); });
  ASSERT_TRUE(stream_->open({"bucket", "a key"}, "", 0).value());
  EXPECT_EQ(take().value(), 0u);
  EXPECT_EQ(got_, "");
}

TEST_F(RangeStreamTest, EndpointsWhereNobodyListensAreLeftAlone) {
  for (const char* endpoint : {"https://127.0.0.1:1", "http://", "", "http://[::1]:1", "ftp://x",
                               "http://127.0.0.1:99999999", "http://127.0.0.1:1"}) {
    RangeStream stream({endpoint, "us-west-2", {}}, {});
    auto taken =
        stream.read({"b", "k"}, "", 0, 10, [](std::string_view) -> Result<> { return {}; });
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken, 0u) << endpoint;
  }
}

}  // namespace
}  // namespace trainyard::transfer
