// SPDX-License-Identifier: Apache-2.0
#include "transfer/object_writer.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <pugixml.hpp>
#include <thread>
#include <vector>

#include "base/guarded.hpp"
#include "base/text.hpp"
#include "objects/checksum.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kPartBytes = 16 << 20;
constexpr size_t kMaxPartBytes = size_t{2} << 30;
constexpr size_t kConnections = 3;
constexpr size_t kMemory = 64 << 20;
// S3 takes 10,000 parts and 5 TiB: parts double after as many of them.
constexpr size_t kPartsOfOneSize = 1500;

size_t part_bytes(size_t number) {
  return std::min(kPartBytes << (number / kPartsOfOneSize), kMaxPartBytes);
}

std::string crc64_of(std::string_view bytes) {
  auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
  digest->add(bytes);
  return to_base64(digest->finish());
}

std::string xml_value(const std::string& xml, const char* path) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return "";
  return document.first_element_by_path(path).child_value();
}

struct SentPart {
  std::string etag;
  std::string checksum;
};

}  // namespace

// The connections of one upload and what they send.
class ObjectWriter::Lanes {
 public:
  Lanes(S3Client& client, S3Uri object, std::string upload_id)
      : client_(client), object_(std::move(object)), upload_id_(std::move(upload_id)) {}

  size_t count() const { return queued_; }

  // Waits for room, then queues the part. A buffer to fill next comes back, empty.
  Result<std::string> queue(std::string bytes) {
    size_t at_once = std::clamp<size_t>(kMemory / bytes.size() - 1, 1, kConnections);
    auto has_room = [&](State& state) {
      return state.error || state.waiting.size() + state.busy < at_once;
    };
    TRY(state_.wait({}, kNever, has_room, [](State& state) { return state.outcome(); }));
    if (threads_.size() < at_once) {
      threads_.emplace_back([this](std::stop_token stop) { work(stop); });
    }
    std::string next;
    state_.change([&](State& state) {
      state.waiting.push_back({++queued_, std::move(bytes)});
      if (state.spare.empty()) return;
      next = std::move(state.spare.back());
      state.spare.pop_back();
    });
    next.clear();
    return next;
  }

  // All parts in order, once they are there.
  Result<std::map<size_t, SentPart>> finish() {
    auto is_done = [&](State& state) { return state.error || state.sent.size() == queued_; };
    auto take = [](State& state) -> Result<std::map<size_t, SentPart>> {
      TRY(state.outcome());
      return std::move(state.sent);
    };
    return state_.wait({}, kNever, is_done, take);
  }

 private:
  struct Part {
    size_t number = 0;
    std::string bytes;
  };
  struct State {
    std::deque<Part> waiting;
    size_t busy = 0;
    std::map<size_t, SentPart> sent;
    std::vector<std::string> spare;  // buffers whose memory is used again
    std::optional<Error> error;      // the first

    Result<> outcome() const { return error ? Result<>(Failure(*error)) : Result<>(); }
  };

  void work(const std::stop_token& stop) {
    S3Client client = client_.another();
    auto is_waiting = [](State& state) { return !state.waiting.empty(); };
    auto take = [&](State& state) -> std::optional<Part> {
      if (stop.stop_requested() || state.error || state.waiting.empty()) return std::nullopt;
      Part part = std::move(state.waiting.front());
      state.waiting.pop_front();
      ++state.busy;
      return part;
    };
    while (auto part = state_.wait(stop, kNever, is_waiting, take)) {
      auto sent = send(client, *part);
      state_.change([&](State& state) {
        --state.busy;
        state.spare.push_back(std::move(part->bytes));
        if (sent) state.sent.emplace(part->number, std::move(*sent));
        if (!sent && !state.error) state.error = std::move(sent).error();
      });
    }
  }

  // Leaves the part's bytes where they are.
  Result<SentPart> send(S3Client& client, Part& part) {
    http::Call call;
    std::string checksum = crc64_of(part.bytes);
    call.headers.set("x-amz-checksum-crc64nvme", checksum);
    call.headers.set("x-trainyard-etag", "opaque");  // our store saves itself the MD5
    call.body.swap(part.bytes);
    std::string query =
        fmt::format("partNumber={}&uploadId={}", part.number, percent_encode(upload_id_));
    auto answer = client.send("PUT", object_, query, std::move(call));
    part.bytes.swap(call.body);
    if (!answer) return Failure(std::move(answer).error());
    return SentPart{std::string(answer->headers.get("ETag")), checksum};
  }

  static constexpr auto kNever = std::chrono::steady_clock::time_point::max();

  S3Client& client_;  // only what does not change
  S3Uri object_;
  std::string upload_id_;
  size_t queued_ = 0;
  Guarded<State> state_;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

ObjectWriter::ObjectWriter(S3Client& client, S3Uri object)
    : client_(client), object_(std::move(object)) {}

Result<> ObjectWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t whole = part_bytes(lanes_ ? lanes_->count() : 0);
    buffer_.reserve(whole);  // takes memory only where it is written to
    size_t count = std::min(bytes.size(), whole - buffer_.size());
    buffer_ += bytes.substr(0, count);
    bytes.remove_prefix(count);
    if (buffer_.size() == whole) TRY(send_part());
  }
  return {};
}

Result<> ObjectWriter::send_part() {
  if (!lanes_) {
    http::Call call;
    call.headers.set("x-amz-checksum-algorithm", "CRC64NVME");
    call.headers.set("x-amz-checksum-type", "FULL_OBJECT");
    auto begun = TRY(client_.send("POST", object_, "uploads=", std::move(call)));
    upload_id_ = xml_value(begun.body, "InitiateMultipartUploadResult/UploadId");
    if (upload_id_.empty()) return fail(Code::invalid, "{}: S3 gave no upload id", object_.text());
    lanes_ = std::make_unique<Lanes>(client_, object_, upload_id_);
  }
  buffer_ = TRY(lanes_->queue(std::move(buffer_)));
  return {};
}

Result<> ObjectWriter::finish() {
  if (!lanes_) {
    http::Call call;
    call.headers.set("x-amz-checksum-crc64nvme", crc64_of(buffer_));
    call.body = std::move(buffer_);
    TRY(client_.send("PUT", object_, "", std::move(call)));
    return {};
  }
  if (!buffer_.empty()) TRY(send_part());
  auto parts = TRY(lanes_->finish());
  std::string xml = "<CompleteMultipartUpload>";
  for (const auto& [number, part] : parts) {
    xml += fmt::format(
        "<Part><ChecksumCRC64NVME>{}</ChecksumCRC64NVME><ETag>{}</ETag>"
        "<PartNumber>{}</PartNumber></Part>",
        part.checksum, part.etag, number);
  }
  http::Call call;
  call.body = xml + "</CompleteMultipartUpload>";
  auto done =
      TRY(client_.send("POST", object_, "uploadId=" + percent_encode(upload_id_), std::move(call)));
  // S3 may find out after its 200: an Error document comes instead of the result.
  if (auto code = xml_value(done.body, "Error/Code"); !code.empty()) {
    return fail(Code::unavailable, "completing the upload of {}: {} {}", object_.text(), code,
                xml_value(done.body, "Error/Message"));
  }
  upload_id_.clear();
  return {};
}

ObjectWriter::~ObjectWriter() {
  lanes_.reset();  // a part that is still sent would outlive the abortion
  if (upload_id_.empty()) return;
  http::Call call;
  static_cast<void>(
      client_.send_once("DELETE", object_, "uploadId=" + percent_encode(upload_id_), call));
}

}  // namespace trainyard::transfer
