// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/committer.hpp"
#include "objects/intake.hpp"
#include "objects/part_rows.hpp"
#include "objects/rows.hpp"

namespace trainyard::objects {

namespace {

constexpr int kMaxParts = 10'000;

// The MD5, or of an opaque one as many digits that tell contents apart.
std::string part_etag(const Received& stored) {
  if (!stored.md5.empty()) return to_hex(stored.md5);
  auto md5 = make_md5();
  md5->add(fmt::format("{} {}", stored.size, stored.checksum.value));
  return to_hex(md5->finish());
}

// Where the bytes of a part go: a slot, which stays leased until the row is committed, or a file.
struct Target {
  std::optional<PartSlots::Lease> slot;
  std::optional<NewFile> own;

  const std::string& file() const { return slot ? slot->file() : own->name(); }
  uint64_t stride() const { return slot ? slot->stride() : 0; }
  Place place(int number, uint64_t size_bytes) const {
    if (own) return {own->fd()};
    return {slot->fd(), offset_of_part(number, slot->stride()), size_bytes};
  }
};

Answer<Target> make_target(const fs::path& folder, std::optional<PartSlots::Lease> slot) {
  Target target{std::move(slot), std::nullopt};
  if (!target.slot) target.own.emplace(TRY(NewFile::create(folder)));
  return target;
}

Result<> write_row(db::Database& database, const std::string& id, const PartRow& row) {
  const Part& part = row.part;
  auto insert = database.prepare(
      "INSERT OR REPLACE INTO part (upload, number, file, size, etag, modified_ms, checksum, "
      "stride) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(id).bind(part.number).bind(row.file).bind(part.size).bind(part.etag);
  insert.bind(to_epoch_ms(part.modified)).bind(to_text(part.checksum)).bind(row.stride);
  return insert.run();
}

}  // namespace

Answer<Upload> ObjectStore::begin_upload(const std::string& bucket, const std::string& key,
                                         const UploadOptions& options) {
  TRY(check_key(key));
  Upload upload{random_hex(16), key, clock_.now(), options.algorithm, options.is_composite};
  slots_->open(upload.id);
  auto committed = committer_->commit([&](db::Database& database) -> Answer<> {
    TRY(require_bucket(database, bucket));
    auto insert = database.prepare("INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(upload.id).bind(bucket).bind_blob(key).bind(to_epoch_ms(upload.started));
    insert.bind(to_text(options.headers)).bind(options.tagging);
    if (options.algorithm)
      insert.bind(api_name(*options.algorithm));
    else
      insert.bind_null();
    TRY(insert.bind(options.is_composite).run());
    return {};
  });
  if (!committed) slots_->end(upload.id);
  TRY(std::move(committed));
  return upload;
}

Answer<Part> ObjectStore::put_part(const std::string& bucket, const std::string& key,
                                   const std::string& id, int number, http::Body& body,
                                   const Claims& claims, PartFile part_file) {
  if (number < 1 || number > kMaxParts) {
    return refuse("InvalidArgument", "Part number must be an integer between 1 and 10000");
  }
  Upload of = TRY(upload(bucket, key, id));
  Claims kept = claims;
  if (!kept.algorithm) kept.algorithm = of.algorithm;
  auto size_bytes = body.length().value_or(0);
  auto slot = part_file == PartFile::any ? slots_->take(id, number, size_bytes) : std::nullopt;
  Target target = TRY(make_target(folder_, std::move(slot)));
  Place place = target.place(number, size_bytes);
  Received received = TRY(receive(*intake_, place, body, kept));
  Part part{number, received.size, part_etag(received), clock_.now(), received.checksum};
  auto write = [&](db::Database& database) -> Answer<std::optional<PartRow>> {
    TRY(find_upload(database, bucket, key, id));
    auto old = TRY(find_part(database, id, number));
    TRY(write_row(database, id, {part, target.file(), target.stride()}));
    return old;
  };
  auto old = TRY(commit_for<std::optional<PartRow>>(*committer_, write));
  if (target.own) target.own->keep();
  received.share.keep();
  // In a slot the bytes stay, without a use, until the upload ends.
  if (old && old->has_slot()) intake_->quota.give_back(old->part.size);
  if (old && !old->has_slot()) discard(old->file);
  return part;
}

void ObjectStore::discard_parts(const std::vector<PartRow>& parts, const std::string& kept_file) {
  for (const PartRow& row : parts) {
    if (!row.has_slot()) {
      discard(row.file);
      continue;
    }
    // Those of one file come here each; the size of the file says nothing.
    if (row.file != kept_file) ::unlink(path_of(folder_, row.file).c_str());
    intake_->quota.give_back(row.part.size);
  }
}

Answer<> ObjectStore::abort_upload(const std::string& bucket, const std::string& key,
                                   const std::string& id) {
  std::vector<PartRow> all;
  TRY(committer_->commit([&](db::Database& database) -> Answer<> {
    TRY(find_upload(database, bucket, key, id));
    all = TRY(find_parts(database, id));
    return remove_upload(database, id);
  }));
  slots_->end(id);
  discard_parts(all);
  return {};
}

Answer<> ObjectStore::remove_bucket(const std::string& bucket) {
  std::vector<std::string> ids;  // of uploads that are not finished: they do not hold a bucket
  std::vector<PartRow> parts;
  TRY(committer_->commit([&](db::Database& database) -> Answer<> {
    TRY(require_bucket(database, bucket));
    auto row = database.prepare("SELECT id FROM upload WHERE bucket = ?");
    row.bind(bucket);
    while (TRY(row.step())) ids.push_back(row.text(0));
    for (const std::string& id : ids) {
      auto own = TRY(find_parts(database, id));
      std::move(own.begin(), own.end(), std::back_inserter(parts));
      TRY(remove_upload(database, id));
    }
    auto removed = database.prepare("DELETE FROM bucket WHERE name = ?").bind(bucket).run();
    if (!removed && removed.error().code == Code::conflict) {
      return refuse("BucketNotEmpty", "The bucket you tried to delete is not empty");
    }
    TRY(std::move(removed));
    return {};
  }));
  for (const std::string& id : ids) slots_->end(id);
  discard_parts(parts);
  return {};
}

Answer<Upload> ObjectStore::upload(const std::string& bucket, const std::string& key,
                                   const std::string& id) {
  return rows_.with([&](db::Database& database) -> Answer<Upload> {
    return TRY(find_upload(database, bucket, key, id)).upload;
  });
}

Answer<std::vector<Part>> ObjectStore::parts(const std::string& bucket, const std::string& key,
                                             const std::string& id) {
  return rows_.with([&](db::Database& database) -> Answer<std::vector<Part>> {
    TRY(find_upload(database, bucket, key, id));
    auto rows = TRY(find_parts(database, id));
    std::vector<Part> result;
    for (PartRow& row : rows) result.push_back(std::move(row.part));
    return result;
  });
}

Answer<std::vector<Upload>> ObjectStore::uploads(const std::string& bucket,
                                                 const std::string& prefix) {
  return rows_.with([&](db::Database& database) -> Answer<std::vector<Upload>> {
    TRY(require_bucket(database, bucket));
    auto row = database.prepare(
        "SELECT id, key, started_ms, algorithm, is_composite FROM upload WHERE bucket = ? "
        "ORDER BY key, started_ms");
    row.bind(bucket);
    std::vector<Upload> result;
    while (TRY(row.step())) {
      if (!row.text(1).starts_with(prefix)) continue;
      result.push_back({row.text(0), row.text(1), from_epoch_ms(row.integer(2)),
                        parse_checksum_algorithm(row.text(3)), row.integer(4) != 0});
    }
    return result;
  });
}

}  // namespace trainyard::objects
