// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_verdict.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>

#include "base/clock.hpp"
#include "base/json.hpp"

namespace trainyard::transfer {

namespace {

constexpr const char* kAttribute = "user.trainyard.records";
constexpr int64_t kVersion = 1;
constexpr size_t kFirstBytes = 64 << 10;
constexpr size_t kPieceBytes = 1 << 20;
// A write so soon after another one may leave the time of change as it is: kernels take it from
// their tick, which lasts 10 ms at most.
constexpr int64_t kTickNs = 20'000'000;

int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

json::object to_json(const RecordVerdict& verdict, const struct stat& info) {
  json::object document{{"v", kVersion},
                        {"size", info.st_size},
                        {"inode", info.st_ino},
                        {"mtime_ns", nanoseconds(info.st_mtim)},
                        {"compression", static_cast<int64_t>(verdict.compression)},
                        {"records", verdict.records},
                        {"largest", verdict.largest_bytes},
                        {"payload", verdict.payload_bytes}};
  if (verdict.first_broken) {
    document["broken"] = verdict.broken_records;
    document["index"] = verdict.first_broken->index;
    document["offset"] = verdict.first_broken->offset;
    document["what"] = verdict.first_broken->what;
  }
  return document;
}

bool is_about(const json::object& document, const struct stat& info) {
  return json::find_integer(document, "v") == kVersion &&
         json::find_integer(document, "size") == info.st_size &&
         json::find_integer(document, "inode") == static_cast<int64_t>(info.st_ino) &&
         json::find_integer(document, "mtime_ns") == nanoseconds(info.st_mtim);
}

Result<RecordVerdict> from_json(const json::object& document) {
  auto number = [&](std::string_view key) -> Result<uint64_t> {
    return static_cast<uint64_t>(TRY(json::get_integer(document, key)));
  };
  RecordVerdict verdict;
  verdict.is_tfrecord = true;
  uint64_t compression = TRY(number("compression"));
  if (compression > 2) return fail(Code::invalid, "unknown compression {}", compression);
  verdict.compression = static_cast<RecordCompression>(compression);
  verdict.records = TRY(number("records"));
  verdict.largest_bytes = TRY(number("largest"));
  verdict.payload_bytes = TRY(number("payload"));
  if (json::find(document, "broken") == nullptr) return verdict;
  verdict.broken_records = TRY(number("broken"));
  BrokenRecord broken;
  broken.index = TRY(number("index"));
  broken.offset = TRY(number("offset"));
  broken.what = TRY(json::get_string(document, "what"));
  verdict.first_broken = std::move(broken);
  return verdict;
}

std::optional<RecordVerdict> remembered(int fd, const struct stat& info) {
  std::array<char, 2048> text{};
  ssize_t size = ::fgetxattr(fd, kAttribute, text.data(), text.size());
  if (size <= 0) return std::nullopt;
  auto document = json::parse_object({text.data(), static_cast<size_t>(size)});
  if (!document || !is_about(*document, info)) return std::nullopt;
  auto verdict = from_json(*document);
  if (!verdict) return std::nullopt;
  return *verdict;
}

struct OpenFile {
  Fd fd;
  struct stat info;
};

// Never waits for a writer of a pipe, never follows a link.
Result<OpenFile> open_to_read(const fs::path& file) {
  Fd fd = TRY(open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "reading " + file.string());
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid, "{} is no file", file.string());
  return OpenFile{std::move(fd), info};
}

void store(int fd, const RecordVerdict& verdict, const struct stat& info) {
  if (!verdict.is_tfrecord) return;
  std::string text = json::serialize(to_json(verdict, info));
  // Where it does not work, the next look is a scan again.
  static_cast<void>(::fsetxattr(fd, kAttribute, text.data(), text.size(), 0));
}

// Whether what was read of the file since it was opened is what it holds now.
bool is_settled(const OpenFile& file) {
  struct stat now {};
  if (::fstat(file.fd.get(), &now) != 0 || now.st_size != file.info.st_size ||
      nanoseconds(now.st_mtim) != nanoseconds(file.info.st_mtim)) {
    return false;
  }
  auto clock = SystemClock().now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(clock).count() -
             nanoseconds(now.st_mtim) >=
         kTickNs;
}

Result<RecordVerdict> scan(const OpenFile& file, RecordSink* sink, const std::stop_token& stop,
                           const MayRead& may_read) {
  RecordScanner scanner(sink);
  auto size = static_cast<uint64_t>(file.info.st_size);
  // The first bytes tell what most other files are.
  std::vector<char> buffer(std::min<uint64_t>(kFirstBytes, size));
  for (uint64_t offset = 0; scanner.wants_more();) {
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
    size_t count = TRY(read_at(file.fd.get(), buffer, offset));
    if (count == 0) break;
    scanner.add({buffer.data(), count});
    offset += count;
    if (buffer.size() == kPieceBytes || !scanner.wants_more() || offset >= size) continue;
    if (may_read && !may_read(size)) return fail(Code::exhausted, "no more is to be read");
    buffer.resize(kPieceBytes);
  }
  return scanner.finish();
}

}  // namespace

Result<RecordVerdict> scan_file(const fs::path& file, RecordSink* sink,
                                const std::stop_token& stop) {
  auto opened = TRY(open_to_read(file));
  return scan(opened, sink, stop, {});
}

std::optional<RecordVerdict> remembered_verdict(const fs::path& file) {
  auto opened = open_to_read(file);
  if (!opened) return std::nullopt;
  return remembered(opened->fd.get(), opened->info);
}

void remember_verdict(const fs::path& file, const RecordVerdict& verdict) {
  auto opened = open_to_read(file);
  if (opened) store(opened->fd.get(), verdict, opened->info);
}

Result<RecordVerdict> verdict_of(const fs::path& file, const std::stop_token& stop,
                                 const MayRead& may_read) {
  auto opened = TRY(open_to_read(file));
  if (auto known = remembered(opened.fd.get(), opened.info)) return *known;
  auto verdict = TRY(scan(opened, nullptr, stop, may_read));
  if (is_settled(opened)) store(opened.fd.get(), verdict, opened.info);
  return verdict;
}

}  // namespace trainyard::transfer
