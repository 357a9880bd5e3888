// SPDX-License-Identifier: Apache-2.0
#include "transfer/fetch_piece.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

// Some servers leave out the quotes in listings.
bool is_same_etag(std::string_view a, std::string_view b) {
  auto bare = [](std::string_view etag) {
    bool is_quoted = etag.size() >= 2 && etag.front() == '"' && etag.back() == '"';
    return is_quoted ? etag.substr(1, etag.size() - 2) : etag;
  };
  return bare(a) == bare(b);
}

}  // namespace

Origin origin_of(const Fetch& fetch) {
  return {fetch.etag.empty() ? "" : fetch.object.text() + "|" + fetch.etag, fetch.size, true};
}

Task::~Task() {
  if (part_ && (is_in_ranges() || part_->is_empty())) part_->remove();
}

void Task::abandon() {
  if (part_) part_->remove();
  part_.reset();
}

Result<> Task::open() {
  Origin origin = origin_of(fetch_);
  origin.is_in_order = !is_in_ranges();
  part_ = TRY(PartFile::open(fetch_.path, origin, way_));
  return {};
}

bool Task::take_what_is_there() {
  std::error_code error;
  if (!options_.is_named_by_content) return false;
  if (fs::file_size(fetch_.path, error) != fetch_.size || error) return false;
  abandon();
  if (options_.on_bytes) options_.on_bytes(fetch_.size);
  if (options_.on_file) options_.on_file(fetch_);
  return true;
}

Result<> Task::split(size_t ranges) {
  part_->remove();
  part_.reset();
  range_digests_.resize(ranges);
  ranges_left_ = ranges;
  if (auto opened = open(); !opened) {  // another process has it: in order, then
    range_digests_.clear();
    return open();
  }
  return {};
}

Result<> Task::check(const Answer& answer) {
  if (!etag_.empty() && !answer.etag.empty() && !is_same_etag(answer.etag, etag_)) {
    if (!fetch_.etag.empty()) {
      return fail(Code::conflict, "the object was replaced since it was listed: its ETag is {}",
                  answer.etag);
    }
    return restart_because("the object was replaced meanwhile");
  }
  if (expectation_) return {};
  if (etag_.empty()) etag_ = answer.etag;
  expectation_ = answer.expectation;
  if (is_in_ranges()) return {};
  make_digest();
  if (options_.observe) observer_ = options_.observe(fetch_);
  return digest_kept();
}

void Task::make_digest() {
  lane_ = nullptr;
  bool has_buffer = size() > kBufferBytes;
  if (expectation_->kind == Expectation::Kind::md5 && has_buffer) {
    auto stream = std::make_unique<objects::Md5Stream>(md5s_);
    lane_ = stream.get();
    digest_ = std::move(stream);
  } else {
    digest_ = expectation_->make_digest();
  }
}

Result<> Task::digest_kept() {
  if (kept() == 0) return {};
  std::vector<char> buffer(kBufferBytes);
  for (uint64_t end = kept(); taken_ < end;) {
    if (stop_.stop_requested()) return fail(Code::cancelled, "stopped");
    size_t count = std::min<uint64_t>(buffer.size(), end - taken_);
    std::span<char> space(buffer.data(), count);
    if (TRY(part_->read(space, taken_)) != count) {
      return restart_because("the part file became shorter");
    }
    if (lane_ != nullptr) lane_->add({buffer.data(), count});
    TRY(take({buffer.data(), count}, taken_));
  }
  return {};
}

Result<> Task::take(std::string_view bytes, uint64_t offset) {
  CHECK(offset == taken_, "bytes are taken in order");
  if (digest_ && lane_ == nullptr) digest_->add(bytes);
  if (observer_) observer_->add(bytes);
  taken_ += bytes.size();
  report(bytes.size());
  return {};
}

Result<> Task::write(std::string_view bytes, uint64_t offset) {
  return part_->write(bytes, offset);
}

void Task::report(uint64_t bytes) {
  passed_ += bytes;
  if (passed_ <= reported_) return;  // reported by an attempt that was in vain
  uint64_t more = passed_ - reported_;
  reported_ = passed_;
  if (options_.on_bytes) options_.on_bytes(more);
}

std::unique_ptr<objects::Digest> Task::range_digest() const {
  bool combines = expectation_ && expectation_->kind == Expectation::Kind::checksum &&
                  objects::is_crc(expectation_->algorithm);
  return combines ? expectation_->make_digest() : nullptr;
}

bool Task::end_range(size_t index, objects::Digest* digest, uint64_t size) {
  range_digests_[index] = {digest == nullptr ? "" : digest->finish(), size};
  return --ranges_left_ == 0;
}

Result<std::string> Task::digest_of_ranges() {
  if (range_digest()) return objects::combine_crcs(expectation_->algorithm, range_digests_);
  digest_ = expectation_->make_digest();
  if (!digest_) return "";
  std::vector<char> buffer(kBufferBytes);
  for (uint64_t offset = 0; offset < size();) {
    if (stop_.stop_requested()) return fail(Code::cancelled, "stopped");
    size_t count = TRY(part_->read(buffer, offset));
    if (count == 0) return restart_because("the part file became shorter");
    digest_->add({buffer.data(), count});
    offset += count;
  }
  return digest_->finish();
}

Result<> Task::finish() {
  if (expectation_ && expectation_->kind != Expectation::Kind::length_only) {
    std::string digest = is_in_ranges() ? TRY(digest_of_ranges()) : digest_->finish();
    if (digest != expectation_->digest) {
      return restart_because(fmt::format(
          "the {} bytes that came do not match the object's checksum: {} is {}, expected {}",
          size(), expectation_->name(), to_hex(digest), to_hex(expectation_->digest)));
    }
  }
  if (observer_) observer_->done();
  TRY(part_->commit());
  part_.reset();
  if (options_.on_file) options_.on_file(fetch_);
  return {};
}

Failure Task::restart_because(std::string why) {
  must_restart_ = true;
  return Failure(Error{Code::unavailable, std::move(why)});
}

Result<> Task::restart(const Error& error) {
  if (restarts_++ == options_.max_restarts) {
    if (part_) part_->remove();  // wrong bytes are nothing to go on from
    return Failure(Error{error.code, fmt::format("{} (tried {} times)", error.message, restarts_)});
  }
  ++generation_;
  must_restart_ = false;
  if (is_in_ranges()) {
    range_digests_.clear();
    part_->remove();
    part_.reset();
    TRY(open());
  }
  etag_ = fetch_.etag;
  return forget_kept();
}

Result<> Task::forget_kept() {
  expectation_.reset();
  lane_ = nullptr;
  digest_.reset();
  observer_.reset();
  taken_ = passed_ = 0;
  return part_->clear();
}

bool Piece::is_large() const {
  return end - begin > kBufferBytes;
}

bool Piece::wants_head() const {
  return !task->is_expectation_known() && (reached > 0 || task->is_in_ranges());
}

std::string Piece::request_lines() const {
  std::string lines;
  if (!task->etag().empty()) lines = fmt::format("If-Match: {}\r\n", task->etag());
  bool is_part = reached > 0 || end < task->size();
  if (is_part && !wants_head()) lines += fmt::format("Range: bytes={}-{}\r\n", reached, end - 1);
  return lines;
}

Result<Piece::Body> Piece::on_answer(const Answer& answer, bool is_head) {
  uint64_t size = task->size();
  if (answer.is_chunked)
    return fail(Code::unavailable, "the server does not say how much it sends");
  if (answer.status == 200) {
    if (answer.content_length && *answer.content_length != size) {
      return fail(Code::unavailable, "the server sends {} bytes, the object was listed with {}",
                  *answer.content_length, size);
    }
    TRY(task->check(answer));
    if (is_head) return Body{};
    if (end - begin < size) {
      return task->restart_because("the server does not keep to ranges");
    }
    return Body{reached, end - reached};
  }
  if (answer.status != 206 || !answer.content_range || is_head) {
    return fail(Code::unavailable, "the server answers {} to a request for an object",
                answer.status);
  }
  const ContentRange& range = *answer.content_range;
  bool is_asked = reached > 0 || end < size;
  if (!is_asked || range.first != reached || range.last >= end ||
      range.total.value_or(size) != size ||
      answer.content_length.value_or(range.last + 1 - range.first) !=
          range.last + 1 - range.first) {
    return fail(Code::unavailable, "the server sends bytes {}-{} of {}, asked for {}-{} of {}",
                range.first, range.last, range.total.value_or(0), reached, end - 1, size);
  }
  TRY(task->check(answer));
  return Body{0, range.last + 1 - range.first};
}

std::span<char> Piece::space(uint64_t limit) const {
  size_t fill = reached - written;
  size_t room = kBufferBytes - written % kBufferBytes - fill;
  return {buffer.get() + fill, std::min<uint64_t>(room, limit)};
}

Result<> Piece::received(std::string_view bytes) {
  if (task->is_in_ranges()) {
    if (digest) digest->add(bytes);
    task->report(bytes.size());
  } else {
    TRY(task->take(bytes, reached));
  }
  if (!buffer) {
    TRY(task->write(bytes, reached));
    reached += bytes.size();
    written = reached;
    return {};
  }
  reached += bytes.size();
  if (reached != end && reached % kBufferBytes != 0) return {};
  if (task->lane() == nullptr) return flush();
  begin_hashing();
  return {};
}

void Piece::begin_hashing() {
  if (is_hashing) return;
  task->lane()->begin({buffer.get(), static_cast<size_t>(reached - written)});
  is_hashing = true;
}

void Piece::end_hashing() {
  if (is_hashing) task->lane()->wait();
  is_hashing = false;
}

Result<> Piece::flush() {
  if (written == reached) return {};
  if (task->lane() != nullptr) begin_hashing();
  end_hashing();
  TRY(task->write({buffer.get(), static_cast<size_t>(reached - written)}, written));
  written = reached;
  return {};
}

}  // namespace trainyard::transfer
