// SPDX-License-Identifier: Apache-2.0
#include "objects/object_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "objects/committer.hpp"
#include "objects/intake.hpp"
#include "objects/part_slots.hpp"
#include "objects/rows.hpp"
#include "objects/schema.hpp"

namespace trainyard::objects {

namespace {

constexpr std::string_view kFindObject =
    "SELECT key, size, etag, modified_ms, headers, checksum, tagging, file FROM object "
    "WHERE bucket = ? AND key = ?";

bool is_bucket_name(std::string_view name) {
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  if (name.size() < 3 || name.size() > 63) return false;
  auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool is_made_of = std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '.';
  });
  return is_made_of && is_letter_or_digit(name.front()) && is_letter_or_digit(name.back()) &&
         name.find("..") == std::string_view::npos;
}

Result<uint64_t> bytes_used(db::Database& database) {
  auto row = database.prepare(
      "SELECT (SELECT IFNULL(SUM(size), 0) FROM object) + (SELECT IFNULL(SUM(size), 0) FROM part)");
  TRY(row.step());
  return static_cast<uint64_t>(row.integer(0));
}

tl::unexpected<Refusal> no_such_key() {
  return refuse("NoSuchKey", "The specified key does not exist.");
}

}  // namespace

Answer<> check_key(std::string_view key) {
  constexpr size_t kMaxKey = 1024;
  if (key.empty()) return refuse("InvalidArgument", "The key is empty");
  if (key.size() > kMaxKey) return refuse("KeyTooLongError", "Your key is too long");
  if (!is_valid_utf8(key)) return refuse("InvalidArgument", "The key is not valid UTF-8");
  return {};
}

struct ObjectStore::Databases {
  db::Database writer;
  db::Database rows;
  db::Database listings;
};

Result<std::unique_ptr<ObjectStore>> ObjectStore::open(const fs::path& folder, const Clock& clock,
                                                       uint64_t quota_bytes) {
  TRY(make_directories(folder / "objects", 0700));
  auto open = [&] {
    return db::Database::open(folder / "objects.db", db::Durability::power_loss, kMigrations);
  };
  db::Database writer = TRY(open());
  Quota quota(quota_bytes, quota_bytes == 0 ? 0 : TRY(bytes_used(writer)));
  db::Database rows = TRY(open());
  db::Database listings = TRY(open());
  Databases databases{std::move(writer), std::move(rows), std::move(listings)};
  return std::unique_ptr<ObjectStore>(
      new ObjectStore(folder / "objects", clock, std::move(databases), quota));
}

ObjectStore::ObjectStore(fs::path folder, const Clock& clock, Databases databases, Quota quota)
    : folder_(std::move(folder)),
      clock_(clock),
      intake_(std::make_unique<Intake>(quota)),
      slots_(std::make_unique<PartSlots>(folder_)),
      committer_(std::make_unique<Committer>(std::move(databases.writer))),
      rows_(std::move(databases.rows)),
      listings_(std::move(databases.listings)) {
  sweeper_ = std::jthread([this](std::stop_token stop) { sweep(stop); });
}

ObjectStore::~ObjectStore() = default;

void ObjectStore::discard(const std::string& file) {
  if (file.empty()) return;
  fs::path path = path_of(folder_, file);
  struct stat info {};
  bool is_counted = intake_->quota.is_limited() && ::stat(path.c_str(), &info) == 0;
  if (::unlink(path.c_str()) == 0 && is_counted) {
    intake_->quota.give_back(static_cast<uint64_t>(info.st_size));
  }
}

// Removes files of before this start that no row names; those being written now are younger. Files
// that an older version made for their owner only become readable.
void ObjectStore::sweep(const std::stop_token& stop) {
  timespec start{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &start);
  size_t swept = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    if (stop.stop_requested()) return;
    struct stat info {};
    if (::stat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if ((info.st_mode & 07777) != kFileMode) ::chmod(entry->path().c_str(), kFileMode);
    if (info.st_ctim.tv_sec >= start.tv_sec) continue;
    std::string name = entry->path().filename();
    auto is_known = rows_.with([&](db::Database& database) -> Result<bool> {
      auto row = database.prepare(
          "SELECT 1 FROM object WHERE file = ?1 UNION ALL SELECT 1 FROM part WHERE file = ?1");
      row.bind(name);
      return row.step();
    });
    if (!is_known || *is_known) continue;
    ::unlink(entry->path().c_str());
    ++swept;
  }
  if (swept > 0) log::info("removed unfinished uploads", {{"files", swept}});
}

Answer<> ObjectStore::create_bucket(const std::string& bucket) {
  if (!is_bucket_name(bucket)) {
    return refuse("InvalidBucketName", "The specified bucket is not valid.");
  }
  return committer_->commit([&](db::Database& database) -> Answer<> {
    auto insert = database.prepare("INSERT OR IGNORE INTO bucket VALUES (?, ?)");
    TRY(insert.bind(bucket).bind(to_epoch_ms(clock_.now())).run());
    if (database.changes() == 0) {
      return refuse("BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded and you already "
                    "own it.");
    }
    return {};
  });
}

Answer<> ObjectStore::check_bucket(const std::string& bucket) {
  return rows_.with(
      [&](db::Database& database) -> Answer<> { return require_bucket(database, bucket); });
}

Answer<std::vector<Bucket>> ObjectStore::buckets() {
  return rows_.with([&](db::Database& database) -> Answer<std::vector<Bucket>> {
    std::vector<Bucket> result;
    auto row = database.prepare("SELECT name, created_ms FROM bucket ORDER BY name");
    while (TRY(row.step())) result.push_back({row.text(0), from_epoch_ms(row.integer(1))});
    return result;
  });
}

Answer<Object> ObjectStore::put(const std::string& bucket, const std::string& key, http::Body& body,
                                const PutOptions& options) {
  TRY(check_key(key));
  TRY(check_bucket(bucket));
  Stored stored = TRY(store_body(folder_, *intake_, body, options.claims));
  Object object;
  object.key = key;
  object.size = stored.received.size;
  object.etag = to_hex(stored.received.md5);
  object.modified = clock_.now();
  object.headers = options.headers;
  object.checksum = stored.received.checksum;
  object.tagging = options.tagging;
  auto write = [&](db::Database& database) {
    return replace_object(database, bucket, object, stored.file.name(), options.condition);
  };
  auto old_file = TRY(commit_for<std::string>(*committer_, write));
  stored.keep();
  discard(old_file);
  return object;
}

Answer<Object> ObjectStore::head(const std::string& bucket, const std::string& key) {
  return rows_.with([&](db::Database& database) -> Answer<Object> {
    auto row = database.prepare(kFindObject);
    row.bind(bucket).bind_blob(key);
    if (TRY(row.step())) return read_object(row);
    TRY(require_bucket(database, bucket));
    return no_such_key();
  });
}

fs::path ObjectStore::file_of(const Object& object) const {
  return path_of(folder_, object.file);
}

Answer<OpenObject> ObjectStore::open_object(const std::string& bucket, const std::string& key) {
  // Between the two steps a replacement may unlink the file; then the row names another one.
  for (std::string before;;) {
    std::string file;
    auto object = TRY(rows_.with([&](db::Database& database) -> Answer<Object> {
      auto row = database.prepare(kFindObject);
      row.bind(bucket).bind_blob(key);
      if (!TRY(row.step())) {
        TRY(require_bucket(database, bucket));
        return no_such_key();
      }
      file = row.text(7);
      return read_object(row);
    }));
    auto fd = open_file(path_of(folder_, file), O_RDONLY);
    if (fd) return OpenObject{std::move(object), std::make_shared<Fd>(std::move(*fd))};
    bool may_help = fd.error().code == Code::not_found && file != before;
    if (!may_help) return tl::unexpected(Refusal(Error{Code::internal, fd.error().message}));
    before = std::move(file);
  }
}

Answer<> ObjectStore::remove(const std::string& bucket, const std::string& key) {
  auto remove = [&](db::Database& database) -> Answer<std::string> {
    TRY(require_bucket(database, bucket));
    auto row = database.prepare("DELETE FROM object WHERE bucket = ? AND key = ? RETURNING file");
    row.bind(bucket).bind_blob(key);
    std::string file = TRY(row.step()) ? row.text(0) : "";
    TRY(row.run());
    return file;
  };
  discard(TRY(commit_for<std::string>(*committer_, remove)));
  return {};
}

Answer<> ObjectStore::set_tagging(const std::string& bucket, const std::string& key,
                                  const std::string& tagging) {
  return committer_->commit([&](db::Database& database) -> Answer<> {
    TRY(require_bucket(database, bucket));
    auto update = database.prepare("UPDATE object SET tagging = ? WHERE bucket = ? AND key = ?");
    TRY(update.bind(tagging).bind(bucket).bind_blob(key).run());
    if (database.changes() == 0) return no_such_key();
    return {};
  });
}

}  // namespace trainyard::objects
