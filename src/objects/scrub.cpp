// SPDX-License-Identifier: Apache-2.0
#include "objects/scrub.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "base/guarded.hpp"
#include "base/text.hpp"
#include "objects/new_file.hpp"
#include "objects/part_slots.hpp"
#include "objects/rows.hpp"
#include "objects/schema.hpp"

namespace trainyard::objects {

namespace {

constexpr size_t kPage = 1000;
constexpr size_t kPiece = 1 << 20;
constexpr size_t kAlignment = 4096;  // what reading past the page cache asks for

// An object or a part.
struct Row {
  std::string bucket;
  std::string key;
  std::string upload;  // "": an object
  int part = 0;
  std::string file;
  uint64_t size = 0;
  std::string etag;
  std::optional<Checksum> checksum;
  uint64_t stride = 0;  // of a part in a file that others are in, too

  uint64_t offset() const { return offset_of_part(part, stride); }
};

Result<db::Database> open_database(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "objects.db", error)) {
    return fail(Code::not_found,
                "there is no store here: no {}; name the data dir of "
                "`trainyard serve` with --data-dir",
                (folder / "objects.db").string());
  }
  return db::Database::open_to_read(folder / "objects.db", kMigrations.size());
}

struct Free {
  void operator()(char* bytes) const { std::free(bytes); }
};

// Reads a file's bytes from the disk.
class Reader {
 public:
  // nullopt: the bytes are all there. Else what is wrong.
  std::optional<std::string> read(const fs::path& path, const Row& row,
                                  const std::function<void(std::string_view)>& take) {
    auto fd = open_file(path, O_RDONLY | O_DIRECT);
    if (!fd) fd = open_file(path, O_RDONLY);  // a file system without it
    if (!fd && fd.error().code == Code::not_found) return "has no file";
    if (!fd) return fd.error().message;
    struct stat info {};
    if (::fstat(fd->get(), &info) != 0) return "cannot be read";
    auto file_size = static_cast<uint64_t>(info.st_size);
    if (row.stride == 0 && file_size != row.size) {
      return fmt::format("has {} bytes instead of {}", file_size, row.size);
    }
    return read_range(fd->get(), row.offset(), row.offset() + row.size, take);
  }

 private:
  std::optional<std::string> read_range(int fd, uint64_t begin, uint64_t end,
                                        const std::function<void(std::string_view)>& take) {
    for (uint64_t offset = begin; offset < end;) {
      uint64_t skipped = offset % kAlignment;
      auto from = static_cast<off_t>(offset - skipped);
      ssize_t count = ::pread(fd, buffer_.get(), kPiece, from);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 || static_cast<uint64_t>(count) <= skipped) {
        return fmt::format("cannot be read at byte {}: {}", offset - begin,
                           count >= 0 ? "it ends there" : std::strerror(errno));
      }
      std::string_view bytes(buffer_.get(), static_cast<size_t>(count));
      bytes = bytes.substr(skipped, end - offset);
      take(bytes);
      offset += bytes.size();
    }
    return std::nullopt;
  }

  std::unique_ptr<char, Free> buffer_{static_cast<char*>(std::aligned_alloc(kAlignment, kPiece))};
};

class Scrub {
 public:
  Scrub(fs::path folder, db::Database database, const ScrubEvents& events)
      : folder_(std::move(folder)), database_(std::move(database)), events_(events) {}

  Result<ScrubReport> run() {
    TRY(find_strays());
    for (Row last;;) {
      auto page = TRY(objects_after(last));
      if (page.empty()) break;
      last = page.back();
      TRY(check_page(page));
    }
    for (Row last;;) {
      auto page = TRY(parts_after(last));
      if (page.empty()) break;
      last = page.back();
      TRY(check_page(page));
    }
    return report_;
  }

 private:
  Result<std::vector<Row>> objects_after(const Row& last) {
    auto row = database_.prepare(
        "SELECT bucket, key, file, size, etag, checksum FROM object WHERE (bucket, key) > (?, ?) "
        "ORDER BY bucket, key LIMIT ?");
    row.bind(last.bucket).bind_blob(last.key).bind(kPage);
    std::vector<Row> rows;
    while (TRY(row.step())) {
      rows.push_back({row.text(0), row.text(1), "", 0, row.text(2),
                      static_cast<uint64_t>(row.integer(3)), row.text(4),
                      checksum_from(row.optional_text(5))});
    }
    return rows;
  }

  Result<std::vector<Row>> parts_after(const Row& last) {
    auto row = database_.prepare(
        "SELECT upload.bucket, upload.key, upload.id, number, file, size, etag, checksum, stride "
        "FROM part JOIN upload ON upload.id = part.upload WHERE (part.upload, number) > (?, ?) "
        "ORDER BY part.upload, number LIMIT ?");
    row.bind(last.upload).bind(last.part).bind(kPage);
    std::vector<Row> rows;
    while (TRY(row.step())) {
      rows.push_back({row.text(0), row.text(1), row.text(2), static_cast<int>(row.integer(3)),
                      row.text(4), static_cast<uint64_t>(row.integer(5)), row.text(6),
                      checksum_from(row.optional_text(7)), static_cast<uint64_t>(row.integer(8))});
    }
    return rows;
  }

  Result<> check_page(const std::vector<Row>& rows) {
    std::atomic<size_t> next = 0;
    auto work = [&](bool is_calling_thread) {
      Reader reader;
      for (size_t i = next++; i < rows.size(); i = next++) {
        auto what = check(reader, rows[i], is_calling_thread);
        if (what) wrong_.with([&](auto& wrong) { wrong.push_back({rows[i], *what}); });
      }
    };
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < std::thread::hardware_concurrency() && i < rows.size(); ++i) {
      threads.emplace_back([&] { work(false); });
    }
    work(true);
    threads.clear();  // joins
    tell_bytes();
    report_.objects += rows.size();
    for (const Row& row : rows) report_.bytes += row.size;
    auto wrong = wrong_.with([](auto& all) { return std::exchange(all, {}); });
    for (const auto& [row, what] : wrong) TRY(tell_damage(row, what));
    return {};
  }

  std::optional<std::string> check(Reader& reader, const Row& row, bool is_calling_thread) {
    std::string stored = !row.checksum                ? ""
                         : row.checksum->is_composite ? row.checksum->whole
                                                      : row.checksum->value;
    bool has_checksum = !stored.empty();
    bool has_md5 = row.etag.size() == 32 && from_hex(row.etag).has_value();
    auto digest = has_checksum ? make_digest(row.checksum->algorithm) : make_md5();
    bool is_compared = has_checksum || has_md5;
    if (!is_compared) ++without_checksum_;
    auto wrong = reader.read(path_of(folder_, row.file), row, [&](std::string_view bytes) {
      if (is_compared) digest->add(bytes);
      unreported_ += bytes.size();
      if (is_calling_thread) tell_bytes();
    });
    if (wrong || !is_compared) return wrong;
    std::string raw = digest->finish();
    std::string found = has_checksum ? to_base64(raw) : to_hex(raw);
    if (!has_checksum) stored = row.etag;
    if (found == stored) return std::nullopt;
    return fmt::format("has other bytes than were stored: the {} of them is {}, not {}",
                       has_checksum ? api_name(row.checksum->algorithm) : "MD5", found, stored);
  }

  void tell_bytes() {
    uint64_t bytes = unreported_.exchange(0);
    if (bytes > 0 && events_.on_bytes) events_.on_bytes(bytes);
    report_.without_checksum = without_checksum_;
  }

  // Unless it was replaced or removed since its row was read.
  Result<> tell_damage(const Row& row, const std::string& what) {
    auto again = database_.prepare(
        "SELECT 1 FROM object WHERE file = ?1 AND ?2 = 0 UNION ALL "
        "SELECT 1 FROM part WHERE file = ?1 AND ?2 IN (0, number)");
    again.bind(row.file).bind(row.stride > 0 ? row.part : 0);
    if (!TRY(again.step())) return {};
    ++report_.damaged;
    if (events_.on_damage) {
      events_.on_damage({row.bucket, row.key, row.part, path_of(folder_, row.file), what});
    }
    return {};
  }

  Result<> find_strays() {
    std::error_code error;
    for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end;
         entry.increment(error)) {
      std::error_code gone;
      if (!entry->is_regular_file(gone)) continue;
      auto row = database_.prepare(
          "SELECT 1 FROM object WHERE file = ?1 UNION ALL SELECT 1 FROM part WHERE file = ?1");
      row.bind(entry->path().filename().string());
      if (TRY(row.step())) continue;
      struct stat info {};
      if (::stat(entry->path().c_str(), &info) != 0) continue;
      ++report_.stray_files;
      // One for parts may begin with a hole.
      report_.stray_bytes +=
          static_cast<uint64_t>(std::min<int64_t>(info.st_size, info.st_blocks * 512));
    }
    if (error) return fail_errno(error.value(), "reading " + folder_.string());
    return {};
  }

  fs::path folder_;
  db::Database database_;
  const ScrubEvents& events_;
  ScrubReport report_;
  Guarded<std::vector<std::pair<Row, std::string>>> wrong_;
  std::atomic<uint64_t> unreported_ = 0;
  std::atomic<uint64_t> without_checksum_ = 0;
};

}  // namespace

Result<std::vector<BucketUsage>> usage(const fs::path& folder) {
  db::Database database = TRY(open_database(folder));
  auto row = database.prepare(
      "SELECT name, (SELECT COUNT(*) FROM object WHERE bucket = name), "
      "(SELECT IFNULL(SUM(size), 0) FROM object WHERE bucket = name), "
      "(SELECT IFNULL(SUM(size), 0) FROM part WHERE upload IN "
      "(SELECT id FROM upload WHERE upload.bucket = name)) FROM bucket ORDER BY name");
  std::vector<BucketUsage> buckets;
  while (TRY(row.step())) {
    buckets.push_back({row.text(0), static_cast<uint64_t>(row.integer(1)),
                       static_cast<uint64_t>(row.integer(2)),
                       static_cast<uint64_t>(row.integer(3))});
  }
  return buckets;
}

Result<ScrubReport> scrub(const fs::path& folder, const ScrubEvents& events) {
  db::Database database = TRY(open_database(folder));
  return Scrub(folder / "objects", std::move(database), events).run();
}

}  // namespace trainyard::objects
