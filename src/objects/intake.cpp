// SPDX-License-Identifier: Apache-2.0
#include "objects/intake.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <thread>

#include "base/text.hpp"

namespace trainyard::objects {

namespace {

constexpr size_t kBuffer = 1 << 20;  // what ext4 takes fastest: data_plane.md 2
constexpr size_t kSmallBuffer = 64 << 10;
// For so many bodies at once. The first have two: one is filled while the other is hashed.
constexpr size_t kLargeBuffers = 24;
constexpr size_t kPairs = 8;
constexpr uint64_t kWorthLane = 64 << 10;

// The checksum that the client announced: in a header, or in a trailer that has arrived by now.
std::optional<std::string> claimed_checksum(const Claims& claims, const http::Body& body,
                                            ChecksumAlgorithm algorithm) {
  if (claims.checksum) return claims.checksum;
  http::Headers trailers = body.trailers();
  auto value = trailers.find(header_name(algorithm));
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

Answer<> check_claims(const Claims& claims, const http::Body& body, const Received& received) {
  auto algorithm = received.checksum.algorithm;
  if (auto claimed = claimed_checksum(claims, body, algorithm)) {
    auto raw = from_base64(*claimed);
    if (!raw || raw->size() != digest_size(algorithm)) {
      return refuse("InvalidRequest",
                    fmt::format("Value for {} header is invalid.", header_name(algorithm)));
    }
    if (*claimed != received.checksum.value) {
      return refuse("BadDigest", fmt::format("The {} you specified did not match the calculated "
                                             "checksum.",
                                             api_name(algorithm)));
    }
  }
  if (claims.md5) {
    auto raw = from_base64(*claims.md5);
    if (!raw || raw->size() != 16) {
      return refuse("InvalidDigest", "The Content-MD5 you specified was invalid.");
    }
    if (*raw != received.md5) {
      return refuse("BadDigest", "The Content-MD5 you specified did not match what we received.");
    }
  }
  return {};
}

Result<> write_at(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "writing an object");
    bytes.remove_prefix(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

// One body that arrives.
class Arrival {
 public:
  Arrival(Intake& intake, const Place& place, http::Body& body, const Claims& claims);
  ~Arrival();
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  Answer<> take(Received& received);

 private:
  Answer<> flush(Received& received, size_t filled);

  Intake& intake_;
  const Place& place_;
  http::Body& body_;
  size_t room_;  // of each buffer
  std::unique_ptr<char[]> buffer_, other_;
  std::unique_ptr<Digest> checksum_;
  std::unique_ptr<Digest> md5_;          // of a small body
  std::optional<Md5Stream> md5_beside_;  // of others; after the buffers that it reads
};

Arrival::Arrival(Intake& intake, const Place& place, http::Body& body, const Claims& claims)
    : intake_(intake),
      place_(place),
      body_(body),
      checksum_(make_digest(claims.algorithm.value_or(ChecksumAlgorithm::crc64nvme))) {
  size_t number = ++intake.at_once;
  uint64_t expected = body.length().value_or(kBuffer + 1);
  size_t most = number > kLargeBuffers ? kSmallBuffer : kBuffer;
  room_ = static_cast<size_t>(std::clamp<uint64_t>(expected, 1, most));
  buffer_ = std::make_unique_for_overwrite<char[]>(room_);
  if (claims.is_etag_opaque && !claims.md5 && claims.checksum) return;
  if (expected < kWorthLane) {
    md5_ = make_md5();
    return;
  }
  md5_beside_.emplace(intake.md5s);
  if (expected > room_ && number <= kPairs) {
    other_ = std::make_unique_for_overwrite<char[]>(room_);
  }
}

Arrival::~Arrival() {
  --intake_.at_once;
}

Answer<> Arrival::take(Received& received) {
  size_t filled = 0;
  for (bool is_end = false; !is_end;) {
    size_t count = TRY(body_.read({buffer_.get() + filled, room_ - filled}));
    is_end = count == 0;
    // While they are in the cache.
    checksum_->add({buffer_.get() + filled, count});
    filled += count;
    if (filled < room_ && !is_end) continue;
    TRY(flush(received, filled));
    filled = 0;
  }
  if (md5_) received.md5 = md5_->finish();
  if (md5_beside_) received.md5 = md5_beside_->finish();
  received.checksum.value = to_base64(checksum_->finish());
  return {};
}

Answer<> Arrival::flush(Received& received, size_t filled) {
  if (filled == 0) return {};
  std::string_view bytes(buffer_.get(), filled);
  uint64_t offset = place_.offset + received.size;
  received.size += filled;
  if (received.size > place_.room) {
    return refuse("IncompleteBody", "The body is longer than its Content-Length");
  }
  TRY(received.share.grow_to(received.size));
  if (md5_) md5_->add(bytes);
  if (md5_beside_) md5_beside_->begin(bytes);
  TRY(write_at(place_.fd, bytes, offset));
  if (other_) {
    std::swap(buffer_, other_);  // what was in that one is done with
  } else if (md5_beside_) {
    md5_beside_->wait();
  }
  return {};
}

}  // namespace

Intake::Intake(const Quota& limit)
    : quota(limit), md5s(std::max(2u, std::thread::hardware_concurrency())) {}

Answer<Received> receive(Intake& intake, const Place& place, http::Body& body,
                         const Claims& claims) {
  auto algorithm = claims.algorithm.value_or(ChecksumAlgorithm::crc64nvme);
  Received received{Quota::Share(intake.quota), 0, "", {algorithm, "", false}};
  TRY(received.share.grow_to(body.length().value_or(0)));
  // Below that, finding room while writing costs less.
  if (body.length() >= kBuffer) TRY(reserve(place.fd, place.offset, *body.length()));
  TRY(Arrival(intake, place, body, claims).take(received));
  TRY(check_claims(claims, body, received));
  TRY(sync(place.fd));
  return received;
}

Answer<Stored> store_body(const fs::path& folder, Intake& intake, http::Body& body,
                          const Claims& claims) {
  NewFile file = TRY(NewFile::create(folder));
  Place place{file.fd()};
  Received received = TRY(receive(intake, place, body, claims));
  return Stored{std::move(file), std::move(received)};
}

}  // namespace trainyard::objects
