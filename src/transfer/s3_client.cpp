// SPDX-License-Identifier: Apache-2.0
#include "transfer/s3_client.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <pugixml.hpp>
#include <random>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/checksum.hpp"
#include "transfer/object_writer.hpp"
#include "transfer/range_stream.hpp"

namespace trainyard::transfer {

namespace {

constexpr int kAttempts = 5;

std::string xml_value(const std::string& xml, const char* path) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return "";
  return document.first_element_by_path(path).child_value();
}

// The Error that S3's answer stands for.
Error to_error(std::string_view method, const S3Uri& target, const http::Answer& answer) {
  std::string code = xml_value(answer.body, "Error/Code");
  std::string message = xml_value(answer.body, "Error/Message");
  Code kind = answer.status == 404                           ? Code::not_found
              : answer.status == 403                         ? Code::denied
              : answer.status == 412                         ? Code::conflict
              : answer.status >= 500 || answer.status == 429 ? Code::unavailable
                                                             : Code::invalid;
  return {kind,
          fmt::format("{} {}: {} {} {}", method, target.text(), answer.status, code, message)};
}

// Waits before attempt number `attempt`; false when a stop was requested meanwhile.
bool pause_before(int attempt, const std::stop_token& stop) {
  std::minstd_rand random(std::random_device{}());
  auto limit = std::chrono::milliseconds(100 << std::min(attempt, 6));
  std::uniform_int_distribution<int64_t> jitter(limit.count() / 2, limit.count());
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, std::chrono::milliseconds(jitter(random)), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

std::string sign_request(const S3Access& access, std::string_view method, const S3Uri& target,
                         const std::string& query, http::Headers& headers) {
  RequestTarget where = target_of(access, target);
  headers.set("Host", where.host);
  if (!access.credentials.access_key.empty()) {
    aws::SigningOptions signing;
    signing.credentials = access.credentials;
    signing.region = access.region;
    signing.service = "s3";
    signing.time = SystemClock().now();
    aws::sign(method, where.path, query, headers, signing);
  }
  return where.path + (query.empty() ? "" : "?" + query);
}

S3Client::S3Client(S3Access access, std::stop_token stop)
    : access_(std::move(access)), stop_(std::move(stop)) {}

S3Client::~S3Client() = default;
S3Client::S3Client(S3Client&&) noexcept = default;
S3Client& S3Client::operator=(S3Client&&) noexcept = default;

RangeStream& S3Client::fast() {
  if (!fast_) fast_ = std::make_unique<RangeStream>(access_, stop_);
  return *fast_;
}

Result<http::Answer> S3Client::send_once(std::string_view method, const S3Uri& target,
                                         const std::string& query, http::Call& call) {
  call.method = method;
  call.ca_file = access_.ca_file;
  call.url = target_of(access_, target).origin() +
             sign_request(access_, method, target, query, call.headers);
  auto answer = TRY(client_.send(call, stop_));
  if (answer.status >= 300) return Failure(to_error(method, target, answer));
  return answer;
}

Result<http::Answer> S3Client::send(std::string_view method, const S3Uri& target,
                                    const std::string& query, http::Call&& call) {
  for (int attempt = 1;; ++attempt) {
    auto answer = send_once(method, target, query, call);
    if (answer || !is_retryable(answer.error().code) || attempt == kAttempts) return answer;
    if (!pause_before(attempt, stop_)) return fail(Code::cancelled, "stopped");
  }
}

// `options` come before "prefix" in the alphabet.
Result<S3Client::Page> S3Client::list_page(const S3Uri& prefix, const std::string& options) {
  http::Call call;
  if (access_.is_own_store) call.headers.set("x-trainyard-files", "1");
  std::string query = options + "prefix=" + percent_encode(prefix.key);
  auto answer = TRY(send("GET", {prefix.bucket, ""}, query, std::move(call)));
  pugi::xml_document document;
  if (!document.load_buffer(answer.body.data(), answer.body.size())) {
    return fail(Code::invalid, "listing {}: the answer is no XML", prefix.text());
  }
  pugi::xml_node root = document.child("ListBucketResult");
  Page page;
  for (pugi::xml_node entry : root.children("Contents")) {
    auto key = percent_decode(entry.child_value("Key"));
    auto size = parse_unsigned(entry.child_value("Size"));
    if (!key || !size) return fail(Code::invalid, "listing {}: malformed entry", prefix.text());
    page.objects.push_back({*key, *size, entry.child_value("ETag")});
    auto file = percent_decode(entry.child_value("File"));
    if (access_.is_own_store && file) page.objects.back().file = *file;
  }
  page.next = root.child_value("NextContinuationToken");
  return page;
}

Result<std::vector<ObjectSummary>> S3Client::list(const S3Uri& prefix) {
  std::vector<ObjectSummary> objects;
  std::string options = "encoding-type=url&list-type=2&";
  for (;;) {
    Page page = TRY(list_page(prefix, options));
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(objects));
    if (page.next.empty()) return objects;
    options = fmt::format("continuation-token={}&encoding-type=url&list-type=2&",
                          percent_encode(page.next));
  }
}

Result<bool> S3Client::has_objects(const S3Uri& prefix) {
  return !TRY(list_page(prefix, "encoding-type=url&list-type=2&max-keys=1&")).objects.empty();
}

// The key itself is the first of those that begin with it.
Result<ObjectSummary> S3Client::find(const S3Uri& object) {
  auto page = TRY(list_page(object, "encoding-type=url&list-type=2&max-keys=1&"));
  if (page.objects.empty() || page.objects[0].key != object.key) {
    return fail(Code::not_found, "there is no {}", object.text());
  }
  return std::move(page.objects[0]);
}

Result<bool> S3Client::download_fast(const S3Uri& object, const fs::path& part,
                                     const OnBytes& on_bytes) {
  auto answer = TRY(fast().open(object, "", std::nullopt));
  if (!answer) return false;
  Fd file = TRY(open_file(part, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  const Expectation& expected = answer->expectation;
  bool has_checksum = expected.kind == Expectation::Kind::checksum;
  auto digest = has_checksum ? expected.make_digest() : nullptr;
  uint64_t received = TRY(fast().take([&](std::string_view bytes) -> Result<> {
    if (digest) digest->add(bytes);
    if (on_bytes) on_bytes(bytes.size());
    return write_all(file.get(), bytes);
  }));
  if (received != *answer->content_length) {
    return fail(Code::unavailable, "{}: {} of {} bytes came", object.text(), received,
                *answer->content_length);
  }
  if (!digest || digest->finish() == expected.digest) return true;
  return fail(Code::unavailable, "{}: the bytes that came do not match the checksum",
              object.text());
}

Result<> S3Client::download_once(const S3Uri& object, const fs::path& part,
                                 const OnBytes& on_bytes) {
  if (TRY(download_fast(object, part, on_bytes))) return {};
  Fd file = TRY(open_file(part, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  // What our store and AWS keep for objects whose uploader asked for nothing else.
  auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
  uint64_t received = 0;
  std::string error_body;
  http::Call call;
  call.headers.set("x-amz-checksum-mode", "ENABLED");
  call.sink = [&](int status, std::string_view bytes) -> Result<> {
    if (status >= 300) {
      error_body += bytes.substr(0, 4096);
      return {};
    }
    digest->add(bytes);
    received += bytes.size();
    if (on_bytes) on_bytes(bytes.size());
    return write_all(file.get(), bytes);
  };
  auto answer = send_once("GET", object, "", call);
  if (!answer && !error_body.empty()) {
    return fail(answer.error().code, "GET {}: {} {}", object.text(),
                xml_value(error_body, "Error/Code"), xml_value(error_body, "Error/Message"));
  }
  auto whole = TRY(std::move(answer));
  auto length = parse_unsigned(whole.headers.get("Content-Length"));
  if (length && *length != received) {
    return fail(Code::unavailable, "{}: {} of {} bytes came", object.text(), received, *length);
  }
  auto announced = whole.headers.find("x-amz-checksum-crc64nvme");
  bool is_whole = whole.headers.get("x-amz-checksum-type") != "COMPOSITE";
  if (announced && is_whole && to_base64(digest->finish()) != *announced) {
    return fail(Code::unavailable, "{}: the bytes that came do not match the checksum",
                object.text());
  }
  return {};
}

Result<> S3Client::download(const S3Uri& object, const fs::path& path, const OnBytes& on_bytes) {
  fs::path part = path;
  part += ".part-" + random_hex(4);
  Result<> done;
  for (int attempt = 1;; ++attempt) {
    done = download_once(object, part, on_bytes);
    if (done || !is_retryable(done.error().code) || attempt == kAttempts) break;
    if (!pause_before(attempt, stop_)) {
      done = fail(Code::cancelled, "stopped");
      break;
    }
  }
  if (done && ::rename(part.c_str(), path.c_str()) != 0) {
    done = fail_errno(errno, "renaming to " + path.string());
  }
  if (!done) ::unlink(part.c_str());
  return done;
}

// Moves `offset` on with the bytes that were taken.
Result<> S3Client::read_range_once(const S3Uri& object, const std::string& etag, uint64_t& offset,
                                   uint64_t end, const OnPiece& on_piece) {
  http::Call call;
  call.headers.set("Range", fmt::format("bytes={}-{}", offset, end - 1));
  if (!etag.empty()) call.headers.set("If-Match", etag);
  std::string error_body;
  call.sink = [&](int status, std::string_view bytes) -> Result<> {
    if (status >= 300) {
      error_body += bytes.substr(0, 4096);
      return {};
    }
    if (status != 206 || bytes.size() > end - offset) {
      return fail(Code::invalid, "{}: the server does not keep to the range {}-{}", object.text(),
                  offset, end - 1);
    }
    TRY(on_piece(bytes));
    offset += bytes.size();
    return {};
  };
  auto answer = send_once("GET", object, "", call);
  if (!answer && !error_body.empty()) {
    return fail(answer.error().code, "GET {}: {} {}", object.text(),
                xml_value(error_body, "Error/Code"), xml_value(error_body, "Error/Message"));
  }
  TRY(std::move(answer));
  if (offset == end) return {};
  return fail(Code::unavailable, "{}: the answer ends at byte {} of {}", object.text(), offset,
              end);
}

Result<> S3Client::read_range(const S3Uri& object, const std::string& etag, uint64_t offset,
                              uint64_t length, const OnPiece& on_piece) {
  uint64_t end = offset + length;
  offset += TRY(fast().read(object, etag, offset, length, on_piece));
  for (int attempt = 1; offset < end; ++attempt) {
    uint64_t before = offset;
    auto done = read_range_once(object, etag, offset, end, on_piece);
    if (done) return done;
    if (offset > before) attempt = 1;  // it goes on
    if (!is_retryable(done.error().code) || attempt == kAttempts) return done;
    if (!pause_before(attempt, stop_)) return fail(Code::cancelled, "stopped");
  }
  return {};
}

// A read of a whole object, over one or more requests.
struct S3Client::WholeRead {
  const OnPiece& on_piece;
  uint64_t offset = 0;
  std::unique_ptr<objects::Digest> digest = {};  // none: S3 sent no checksum of the whole
  std::string announced = {};

  void hear(int status, const http::Headers& headers) {
    digest.reset();
    if (status != 200 || headers.get("x-amz-checksum-type") == "COMPOSITE") return;
    for (objects::ChecksumAlgorithm algorithm : objects::kChecksumAlgorithms) {
      std::string_view value = headers.get(objects::header_name(algorithm));
      // "…-2" is of a multipart upload's parts.
      if (value.empty() || value.find('-') != std::string_view::npos) continue;
      announced = value;
      digest = objects::make_digest(algorithm);
      return;
    }
  }

  void expect(const Expectation& expected) {
    digest.reset();
    if (expected.kind != Expectation::Kind::checksum) return;
    announced = to_base64(expected.digest);
    digest = expected.make_digest();
  }

  Result<> take(std::string_view bytes) {
    if (digest) digest->add(bytes);
    TRY(on_piece(bytes));
    offset += bytes.size();
    return {};
  }

  Result<> take(PagePipe filled, PagePipe& mirror, const PageTaker& pages) {
    size_t count = filled.size();
    if (digest) TRY(filled.show(mirror, [&](std::string_view bytes) { digest->add(bytes); }));
    TRY(pages.take(std::move(filled)));
    offset += count;
    return {};
  }
};

Result<> S3Client::read_object_fast(const S3Uri& object, const std::string& etag, uint64_t size,
                                    WholeRead& read, const PageTaker* pages) {
  auto answer = TRY(fast().open(object, etag, size));
  if (!answer) return {};
  read.expect(answer->expectation);
  auto take = [&](std::string_view piece) { return read.take(piece); };
  auto mirror = pages == nullptr ? std::nullopt : PagePipe::make();
  if (!mirror) {
    TRY(fast().take(take));
    return {};
  }
  auto take_pages = [&](PagePipe filled) { return read.take(std::move(filled), *mirror, *pages); };
  TRY(fast().take(take, {pages->empty, take_pages}));
  return {};
}

// Without a range: S3 sends no checksum with a part of an object.
Result<> S3Client::read_object_once(const S3Uri& object, const std::string& etag, uint64_t size,
                                    WholeRead& read) {
  http::Call call;
  call.headers.set("x-amz-checksum-mode", "ENABLED");
  if (!etag.empty()) call.headers.set("If-Match", etag);
  call.on_headers = [&](int status, const http::Headers& headers) { read.hear(status, headers); };
  std::string error_body;
  call.sink = [&](int status, std::string_view bytes) -> Result<> {
    if (status >= 300) {
      error_body += bytes.substr(0, 4096);
      return {};
    }
    if (bytes.size() > size - read.offset) {
      return fail(Code::invalid, "{}: more than its {} bytes came", object.text(), size);
    }
    return read.take(bytes);
  };
  auto answer = send_once("GET", object, "", call);
  if (!answer && !error_body.empty()) {
    return fail(answer.error().code, "GET {}: {} {}", object.text(),
                xml_value(error_body, "Error/Code"), xml_value(error_body, "Error/Message"));
  }
  TRY(std::move(answer));
  if (read.offset == size) return {};
  return fail(Code::unavailable, "{}: the answer ends at byte {} of {}", object.text(), read.offset,
              size);
}

Result<> S3Client::read_object(const S3Uri& object, const std::string& etag, uint64_t size,
                               const OnPiece& on_piece, const PageTaker* pages) {
  WholeRead read{on_piece};
  TRY(read_object_fast(object, etag, size, read, pages));
  for (int attempt = 1; read.offset == 0; ++attempt) {
    auto done = read_object_once(object, etag, size, read);
    if (done) break;
    if (!is_retryable(done.error().code) || attempt == kAttempts) return done;
    if (!pause_before(attempt, stop_)) return fail(Code::cancelled, "stopped");
  }
  if (read.offset < size) {
    TRY(read_range(object, etag, read.offset, size - read.offset,
                   [&](std::string_view piece) { return read.take(piece); }));
  }
  if (!read.digest || to_base64(read.digest->finish()) == read.announced) return {};
  return fail(Code::invalid, "{}: the {} bytes that came do not match the object's checksum",
              object.text(), size);
}

Result<http::Headers> S3Client::head(const S3Uri& object, const std::string& etag) {
  http::Call call;
  call.headers.set("x-amz-checksum-mode", "ENABLED");
  if (!etag.empty()) call.headers.set("If-Match", etag);
  auto answer = TRY(send("HEAD", object, "", std::move(call)));
  return std::move(answer.headers);
}

Result<> S3Client::upload_bytes(std::string_view bytes, const S3Uri& object) {
  http::Call call;
  call.body = bytes;
  TRY(send("PUT", object, "", std::move(call)));
  return {};
}

Result<> S3Client::upload(const fs::path& path, const S3Uri& object, const OnBytes& on_bytes) {
  constexpr size_t kPiece = 1 << 20;
  Fd file = TRY(open_file(path, O_RDONLY | O_NOFOLLOW));
  std::vector<char> buffer(kPiece);
  ObjectWriter writer(*this, object);
  for (uint64_t offset = 0;;) {
    size_t count = TRY(read_at(file.get(), buffer, offset));
    TRY(writer.write({buffer.data(), count}));
    if (on_bytes) on_bytes(count);
    if (count < buffer.size()) return writer.finish();
    offset += count;
  }
}

Result<> S3Client::remove(const S3Uri& object) {
  TRY(send("DELETE", object, "", {}));
  return {};
}

Result<> S3Client::create_bucket(const std::string& bucket) {
  auto made = send("PUT", {bucket, ""}, "", {});
  bool exists = !made && made.error().message.find("BucketAlreadyOwnedByYou") != std::string::npos;
  if (!made && !exists) return Failure(made.error());
  return {};
}

Result<http::Answer> S3Client::call(std::string_view method, const S3Uri& target,
                                    const std::string& query, http::Call call) {
  return send(method, target, query, std::move(call));
}

}  // namespace trainyard::transfer
