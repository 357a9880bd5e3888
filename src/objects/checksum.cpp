// SPDX-License-Identifier: Apache-2.0
#include "objects/checksum.hpp"

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include "base/text.hpp"
#include "objects/crc64.hpp"

namespace trainyard::objects {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"CRC32", "CRC32C", "CRC64NVME", "SHA1",
                                                    "SHA256"};

template <class Word>
std::string big_endian(Word word) {
  std::string bytes;
  for (int shift = sizeof(Word) * 8 - 8; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(word >> shift);
  }
  return bytes;
}

// isa-l counts in int.
template <class Function>
void in_pieces(std::string_view bytes, Function function) {
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, 1 << 30);
    function(piece);
    bytes.remove_prefix(piece.size());
  }
}

class Crc32 : public Digest {
 public:
  void add(std::string_view bytes) override {
    in_pieces(bytes, [&](std::string_view piece) {
      value_ = crc32_gzip_refl(value_, reinterpret_cast<const unsigned char*>(piece.data()),
                               piece.size());
    });
  }
  std::string finish() override { return big_endian(value_); }

 private:
  uint32_t value_ = 0;
};

class Crc32c : public Digest {
 public:
  void add(std::string_view bytes) override {
    in_pieces(bytes, [&](std::string_view piece) {
      // The buffer is only read; the declaration lacks a const.
      auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(piece.data()));
      value_ = crc32_iscsi(data, static_cast<int>(piece.size()), value_);
    });
  }
  std::string finish() override { return big_endian(~value_); }

 private:
  uint32_t value_ = 0xffffffff;
};

class Crc64 : public Digest {
 public:
  void add(std::string_view bytes) override { value_ = update_crc64(value_, bytes); }
  std::string finish() override { return big_endian(~value_); }

 private:
  uint64_t value_ = ~uint64_t{0};
};

class OpensslDigest : public Digest {
 public:
  explicit OpensslDigest(const EVP_MD* kind) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), kind, nullptr);
  }
  void add(std::string_view bytes) override {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  std::string finish() override {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), &size);
    digest.resize(size);
    return digest;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string_view api_name(ChecksumAlgorithm algorithm) {
  return kNames[static_cast<size_t>(algorithm)];
}

std::optional<ChecksumAlgorithm> parse_checksum_algorithm(std::string_view api_name) {
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
    if (equal_ignoring_case(api_name, objects::api_name(algorithm))) return algorithm;
  }
  return std::nullopt;
}

std::string header_name(ChecksumAlgorithm algorithm) {
  return "x-amz-checksum-" + to_lower(api_name(algorithm));
}

size_t digest_size(ChecksumAlgorithm algorithm) {
  constexpr std::array<size_t, 5> kSizes = {4, 4, 8, 20, 32};
  return kSizes[static_cast<size_t>(algorithm)];
}

std::unique_ptr<Digest> make_digest(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::crc32:
      return std::make_unique<Crc32>();
    case ChecksumAlgorithm::crc32c:
      return std::make_unique<Crc32c>();
    case ChecksumAlgorithm::crc64nvme:
      return std::make_unique<Crc64>();
    case ChecksumAlgorithm::sha1:
      return std::make_unique<OpensslDigest>(EVP_sha1());
    case ChecksumAlgorithm::sha256:
      break;
  }
  return std::make_unique<OpensslDigest>(EVP_sha256());
}

std::unique_ptr<Digest> make_md5() {
  return std::make_unique<OpensslDigest>(EVP_md5());
}

}  // namespace trainyard::objects
