// SPDX-License-Identifier: Apache-2.0
#include "objects/object_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "db/transaction.hpp"
#include "objects/rows.hpp"
#include "objects/schema.hpp"

namespace trainyard::objects {

namespace {

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

Result<std::unique_ptr<ObjectStore>> ObjectStore::open(const fs::path& folder, const Clock& clock) {
  TRY(make_directories(folder / "objects", 0700));
  auto database =
      TRY(db::Database::open(folder / "objects.db", db::Durability::power_loss, kMigrations));
  return std::unique_ptr<ObjectStore>(
      new ObjectStore(folder / "objects", std::move(database), clock));
}

ObjectStore::ObjectStore(fs::path folder, db::Database database, const Clock& clock)
    : folder_(std::move(folder)), clock_(clock), database_(std::move(database)) {
  sweeper_ = std::jthread([this](std::stop_token stop) { sweep(stop); });
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
    auto is_known = database_.with([&](db::Database& database) -> Result<bool> {
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
  return database_.with([&](db::Database& database) -> Answer<> {
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

Answer<> ObjectStore::remove_bucket(const std::string& bucket) {
  return database_.with([&](db::Database& database) -> Answer<> {
    TRY(require_bucket(database, bucket));
    auto transaction = TRY(db::Transaction::begin(database));
    // Unfinished uploads do not hold a bucket; their files are swept at the next start.
    TRY(database.prepare("DELETE FROM upload WHERE bucket = ?").bind(bucket).run());
    auto removed = database.prepare("DELETE FROM bucket WHERE name = ?").bind(bucket).run();
    if (!removed && removed.error().code == Code::conflict) {
      return refuse("BucketNotEmpty", "The bucket you tried to delete is not empty");
    }
    TRY(std::move(removed));
    TRY(transaction.commit());
    return {};
  });
}

Answer<> ObjectStore::check_bucket(const std::string& bucket) {
  return database_.with(
      [&](db::Database& database) -> Answer<> { return require_bucket(database, bucket); });
}

Answer<std::vector<Bucket>> ObjectStore::buckets() {
  return database_.with([&](db::Database& database) -> Answer<std::vector<Bucket>> {
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
  Stored stored = TRY(store_body(folder_, body, options.claims));
  Object object;
  object.key = key;
  object.size = stored.size;
  object.etag = to_hex(stored.md5);
  object.modified = clock_.now();
  object.headers = options.headers;
  object.checksum = stored.checksum;
  object.tagging = options.tagging;
  auto replaced = database_.with([&](db::Database& database) -> Answer<std::string> {
    auto transaction = TRY(db::Transaction::begin(database));
    std::string old_file =
        TRY(replace_object(database, bucket, object, stored.file.name(), options.condition));
    TRY(transaction.commit());
    return old_file;
  });
  std::string old_file = TRY(std::move(replaced));
  stored.file.keep();
  if (!old_file.empty()) ::unlink(path_of(folder_, old_file).c_str());
  return object;
}

Answer<Object> ObjectStore::head(const std::string& bucket, const std::string& key) {
  return database_.with([&](db::Database& database) -> Answer<Object> {
    TRY(require_bucket(database, bucket));
    auto row = database.prepare(
        fmt::format("SELECT {} FROM object WHERE bucket = ? AND key = ?", kObjectColumns));
    row.bind(bucket).bind_blob(key);
    if (!TRY(row.step())) return no_such_key();
    return read_object(row);
  });
}

fs::path ObjectStore::file_of(const Object& object) const {
  return path_of(folder_, object.file);
}

Answer<OpenObject> ObjectStore::open_object(const std::string& bucket, const std::string& key) {
  // The file is opened under the lock: afterwards a concurrent replacement may unlink it.
  return database_.with([&](db::Database& database) -> Answer<OpenObject> {
    TRY(require_bucket(database, bucket));
    auto row = database.prepare(
        fmt::format("SELECT {} FROM object WHERE bucket = ? AND key = ?", kObjectColumns));
    row.bind(bucket).bind_blob(key);
    if (!TRY(row.step())) return no_such_key();
    auto file = open_file(path_of(folder_, row.text(7)), O_RDONLY);
    if (!file) return tl::unexpected(Refusal(Error{Code::internal, file.error().message}));
    return OpenObject{read_object(row), std::make_shared<Fd>(std::move(*file))};
  });
}

Answer<> ObjectStore::remove(const std::string& bucket, const std::string& key) {
  auto removed = database_.with([&](db::Database& database) -> Answer<std::string> {
    TRY(require_bucket(database, bucket));
    auto row = database.prepare("DELETE FROM object WHERE bucket = ? AND key = ? RETURNING file");
    row.bind(bucket).bind_blob(key);
    std::string file = TRY(row.step()) ? row.text(0) : "";
    TRY(row.run());
    return file;
  });
  std::string file = TRY(std::move(removed));
  if (!file.empty()) ::unlink(path_of(folder_, file).c_str());
  return {};
}

Answer<> ObjectStore::set_tagging(const std::string& bucket, const std::string& key,
                                  const std::string& tagging) {
  return database_.with([&](db::Database& database) -> Answer<> {
    TRY(require_bucket(database, bucket));
    auto update = database.prepare("UPDATE object SET tagging = ? WHERE bucket = ? AND key = ?");
    TRY(update.bind(tagging).bind(bucket).bind_blob(key).run());
    if (database.changes() == 0) return no_such_key();
    return {};
  });
}

}  // namespace trainyard::objects
