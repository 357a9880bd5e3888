// SPDX-License-Identifier: Apache-2.0
#include "aws/payload.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::aws {

namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { restart(); }
  void restart() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string finish_as_hex() {
    std::string digest(32, '\0');
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    return to_hex(digest);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

class PlainBody : public http::Body {
 public:
  explicit PlainBody(http::Body& body) : body_(body) {}
  Result<size_t> read(std::span<char> buffer) override { return body_.read(buffer); }
  std::optional<uint64_t> length() const override { return body_.length(); }

 private:
  http::Body& body_;
};

class HashedBody : public http::Body {
 public:
  HashedBody(http::Body& body, std::string_view expected) : body_(body), expected_(expected) {}

  Result<size_t> read(std::span<char> buffer) override {
    if (is_finished_) return 0;
    size_t count = TRY(body_.read(buffer));
    if (count > 0) {
      digest_.add({buffer.data(), count});
      return count;
    }
    is_finished_ = true;
    if (digest_.finish_as_hex() != expected_) {
      return fail(Code::invalid, "the body does not match its x-amz-content-sha256");
    }
    return 0;
  }

  std::optional<uint64_t> length() const override { return body_.length(); }

 private:
  http::Body& body_;
  std::string expected_;
  Sha256 digest_;
  bool is_finished_ = false;
};

// Invariant (1): `remaining_` bytes of the current chunk are still to be passed on.
class ChunkedBody : public http::Body {
 public:
  ChunkedBody(http::Body& body, std::optional<uint64_t> decoded_length,
              std::optional<ChunkSigning> signing)
      : body_(body), decoded_length_(decoded_length), signing_(std::move(signing)) {
    if (signing_) previous_signature_ = signing_->seed_signature;
  }

  Result<size_t> read(std::span<char> buffer) override {
    if (is_finished_ || buffer.empty()) return 0;
    if (remaining_ == 0) TRY(begin_chunk());
    if (is_finished_) return 0;
    size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), remaining_));
    size_t count = TRY(take(buffer.first(wanted)));
    if (signing_) digest_.add({buffer.data(), count});
    remaining_ -= count;
    passed_ += count;
    if (remaining_ == 0) TRY(end_chunk());
    return count;
  }

  std::optional<uint64_t> length() const override { return decoded_length_; }
  http::Headers trailers() const override { return trailers_; }

 private:
  Result<size_t> take(std::span<char> buffer) {
    if (position_ == buffered_.size()) {
      // Large pieces go straight to the reader.
      if (buffer.size() >= kBuffer) {
        size_t count = TRY(body_.read(buffer));
        if (count == 0) return fail(Code::invalid, "the aws-chunked body ends inside a chunk");
        return count;
      }
      TRY(fill());
    }
    size_t count = std::min(buffer.size(), buffered_.size() - position_);
    std::copy_n(buffered_.data() + position_, count, buffer.data());
    position_ += count;
    return count;
  }

  Result<> fill() {
    buffered_.resize(kBuffer);
    position_ = 0;
    auto read = body_.read(buffered_);
    buffered_.resize(read.value_or(0));
    if (!read) return Failure(read.error());
    if (buffered_.empty()) return fail(Code::invalid, "the aws-chunked body ends inside a chunk");
    return {};
  }

  Result<std::string> read_line() {
    constexpr size_t kMaxLine = 4096;
    std::string line;
    for (;;) {
      if (position_ == buffered_.size()) TRY(fill());
      char c = buffered_[position_++];
      if (c == '\n' && line.ends_with('\r')) {
        line.pop_back();
        return line;
      }
      line += c;
      if (line.size() > kMaxLine) return fail(Code::invalid, "aws-chunked: a line is too long");
    }
  }

  Result<> begin_chunk() {
    std::string line = TRY(read_line());
    size_t end = std::min(line.find(';'), line.size());
    auto size = parse_hexadecimal(std::string_view(line).substr(0, end));
    if (!size) return fail(Code::invalid, "aws-chunked: '{}' is no chunk size", line);
    constexpr std::string_view kSignature = ";chunk-signature=";
    size_t at = line.find(kSignature);
    signature_ = at == std::string::npos ? "" : line.substr(at + kSignature.size());
    remaining_ = *size;
    digest_.restart();
    if (decoded_length_ && passed_ + *size > *decoded_length_) return wrong_length();
    if (*size > 0) return {};
    TRY(check_chunk());
    TRY(read_trailers());
    is_finished_ = true;
    if (decoded_length_ && passed_ != *decoded_length_) return wrong_length();
    return {};
  }

  Result<> end_chunk() {
    if (!TRY(read_line()).empty())
      return fail(Code::invalid, "aws-chunked: no line end after chunk");
    return check_chunk();
  }

  Result<> check_chunk() {
    if (!signing_) return {};
    std::string text = fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}",
                                   signing_->amz_date, signing_->scope.text(), previous_signature_,
                                   to_hex(sha256("")), digest_.finish_as_hex());
    return check_signature(text, signature_, "a chunk");
  }

  Result<> check_signature(std::string_view text, std::string_view signature,
                           std::string_view what) {
    std::string expected = to_hex(hmac_sha256(signing_->key, text));
    if (expected != signature) {
      return fail(Code::denied, "the signature of {} does not match", what);
    }
    previous_signature_ = expected;
    return {};
  }

  Result<> read_trailers() {
    std::string canonical;
    std::string signature;
    for (std::string line = TRY(read_line()); !line.empty(); line = TRY(read_line())) {
      size_t colon = line.find(':');
      if (colon == std::string::npos) return fail(Code::invalid, "aws-chunked: '{}'", line);
      std::string name = to_lower(trim(line.substr(0, colon)));
      std::string value(trim(std::string_view(line).substr(colon + 1)));
      if (name == "x-amz-trailer-signature") {
        signature = value;
        continue;
      }
      canonical += fmt::format("{}:{}\n", name, value);
      trailers_.add(name, value);
    }
    if (!signing_ || canonical.empty()) return {};
    std::string text =
        fmt::format("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}", signing_->amz_date,
                    signing_->scope.text(), previous_signature_, to_hex(sha256(canonical)));
    return check_signature(text, signature, "the trailer");
  }

  Failure wrong_length() const {
    return fail(Code::invalid, "the body is not as long as its x-amz-decoded-content-length, {}",
                *decoded_length_);
  }

  static constexpr size_t kBuffer = 16 << 10;

  http::Body& body_;
  std::optional<uint64_t> decoded_length_;
  std::optional<ChunkSigning> signing_;
  std::string previous_signature_;
  std::string signature_;  // announced for the current chunk
  Sha256 digest_;
  std::vector<char> buffered_;
  size_t position_ = 0;
  uint64_t remaining_ = 0;
  uint64_t passed_ = 0;
  bool is_finished_ = false;
  http::Headers trailers_;
};

}  // namespace

std::unique_ptr<http::Body> hashed_body(http::Body& body, std::string_view expected_hash) {
  return std::make_unique<HashedBody>(body, expected_hash);
}

std::unique_ptr<http::Body> plain_body(http::Body& body) {
  return std::make_unique<PlainBody>(body);
}

std::unique_ptr<http::Body> chunked_body(http::Body& body, std::optional<uint64_t> decoded_length,
                                         std::optional<ChunkSigning> signing) {
  return std::make_unique<ChunkedBody>(body, decoded_length, std::move(signing));
}

}  // namespace trainyard::aws
