// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "base/log.hpp"
#include "base/text.hpp"
#include "hydrate/source.hpp"
#include "objects/checksum.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::hydrate {

namespace {

constexpr size_t kPieceBytes = 1 << 20;
// Up to here an MD5 costs less than asking S3 for a checksum.
constexpr uint64_t kSmallBytes = 256 << 10;

// The MD5 that an ETag is, unless the object was uploaded in parts or encrypted with KMS.
std::optional<std::string> md5_of(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"') etag = etag.substr(1, etag.size() - 2);
  if (etag.size() != 32) return std::nullopt;
  return from_hex(etag);
}

Result<std::string> digest_of(int fd, std::unique_ptr<objects::Digest> digest) {
  std::vector<char> buffer(kPieceBytes);
  for (uint64_t offset = 0;;) {
    size_t count = TRY(read_at(fd, buffer, offset));
    if (count == 0) return digest->finish();
    digest->add({buffer.data(), count});
    offset += count;
  }
}

class S3Source : public Source {
 public:
  S3Source(const HydratePlan& plan, std::stop_token stop)
      : plan_(plan), client_(plan.access, std::move(stop)) {}

  Result<> read(uint32_t file, uint64_t offset, uint64_t length,
                const transfer::OnPiece& on_piece) override {
    const LazyFile& lazy = plan_.files[file];
    return client_.read_range(lazy.object, lazy.etag, offset, length, on_piece);
  }

  Result<> verify(uint32_t file, int fd) override {
    const LazyFile& lazy = plan_.files[file];
    auto md5 = md5_of(lazy.etag);
    if (md5 && lazy.size <= kSmallBytes) {
      if (TRY(digest_of(fd, objects::make_md5())) == *md5) return {};
    }
    auto answer = client_.head(lazy.object, lazy.etag);
    if (!answer) {
      // Every byte came from the object of the plan's ETag: one replaced since is no mismatch.
      log::warn("no checksum to compare with", {{"cause", answer.error().message}});
      return {};
    }
    const http::Headers& headers = *answer;
    bool is_composite = headers.get("x-amz-checksum-type") == "COMPOSITE";
    for (objects::ChecksumAlgorithm algorithm : objects::kChecksumAlgorithms) {
      auto announced = headers.find(objects::header_name(algorithm));
      // "<checksum>-<parts>" is one over the parts' checksums, whatever the type says.
      if (!announced || is_composite || announced->find('-') != std::string::npos) continue;
      return compare(to_base64(TRY(digest_of(fd, objects::make_digest(algorithm)))), *announced,
                     objects::api_name(algorithm));
    }
    auto encryption = headers.get("x-amz-server-side-encryption");
    bool is_plain = (encryption.empty() || encryption == "AES256") &&
                    !headers.find("x-amz-server-side-encryption-customer-algorithm");
    if (!md5 || !is_plain) return {};
    return compare(to_hex(TRY(digest_of(fd, objects::make_md5()))), to_hex(*md5), "MD5");
  }

 private:
  static Result<> compare(const std::string& ours, std::string_view announced,
                          std::string_view what) {
    if (ours == announced) return {};
    return fail(Code::invalid, "the bytes that came have the {} {}, but the object's is {}", what,
                ours, announced);
  }

  const HydratePlan& plan_;
  transfer::S3Client client_;
};

}  // namespace

MakeSource s3_source(const HydratePlan& plan) {
  return
      [&plan](std::stop_token stop) { return std::make_unique<S3Source>(plan, std::move(stop)); };
}

}  // namespace trainyard::hydrate
