// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/random.hpp"
#include "base/text.hpp"
#include "objects/combine.hpp"
#include "objects/committer.hpp"
#include "objects/intake.hpp"
#include "objects/rows.hpp"

namespace trainyard::objects {

namespace {

constexpr int kMaxParts = 10'000;
constexpr uint64_t kMinPartBytes = 5 << 20;  // of all parts but the last

struct UploadRow {
  Upload upload;
  std::map<std::string, std::string> headers;
  std::string tagging;
};

struct PartRow {
  Part part;
  std::string file;
};

Answer<UploadRow> find_upload(db::Database& database, const std::string& bucket,
                              const std::string& key, const std::string& id) {
  TRY(require_bucket(database, bucket));
  auto row = database.prepare(
      "SELECT started_ms, headers, tagging, algorithm, is_composite FROM upload "
      "WHERE id = ? AND bucket = ? AND key = ?");
  row.bind(id).bind(bucket).bind_blob(key);
  if (!TRY(row.step())) {
    return refuse("NoSuchUpload",
                  "The specified upload does not exist. The upload ID may be invalid, or the "
                  "upload may have been aborted or completed.");
  }
  UploadRow found;
  found.upload = {id, key, from_epoch_ms(row.integer(0)), parse_checksum_algorithm(row.text(3)),
                  row.integer(4) != 0};
  found.headers = headers_from(row.text(1));
  found.tagging = row.text(2);
  return found;
}

Answer<std::vector<PartRow>> find_parts(db::Database& database, const std::string& id) {
  auto row = database.prepare(
      "SELECT number, size, etag, modified_ms, checksum, file FROM part WHERE upload = ? "
      "ORDER BY number");
  row.bind(id);
  std::vector<PartRow> parts;
  while (TRY(row.step())) {
    Part part{static_cast<int>(row.integer(0)), static_cast<uint64_t>(row.integer(1)), row.text(2),
              from_epoch_ms(row.integer(3)), checksum_from(row.optional_text(4))};
    parts.push_back({std::move(part), row.text(5)});
  }
  return parts;
}

Answer<std::vector<PartRow>> choose_parts(std::vector<PartRow> parts,
                                          const std::vector<PartChoice>& choices) {
  std::vector<PartRow> chosen;
  for (const PartChoice& choice : choices) {
    if (!chosen.empty() && chosen.back().part.number >= choice.number) {
      return refuse("InvalidPartOrder", "The list of parts was not in ascending order.");
    }
    auto found = std::find_if(parts.begin(), parts.end(), [&](const PartRow& row) {
      return row.part.number == choice.number && row.part.etag == choice.etag;
    });
    if (found == parts.end()) {
      return refuse("InvalidPart", fmt::format("Part {} could not be found, or its entity tag "
                                               "does not match.",
                                               choice.number));
    }
    if (!chosen.empty() && chosen.back().part.size < kMinPartBytes) {
      return refuse("EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size");
    }
    chosen.push_back(*found);
  }
  if (chosen.empty()) return refuse("MalformedXML", "An upload has at least one part");
  return chosen;
}

// Copies within the kernel, sharing the blocks where the file system can.
Result<> append_file(const fs::path& source, int target, uint64_t size) {
  Fd from = TRY(open_file(source, O_RDONLY));
  while (size > 0) {
    ssize_t count = ::copy_file_range(from.get(), nullptr, target, nullptr, size, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail_errno(count == 0 ? EIO : errno, "joining the parts");
    size -= static_cast<uint64_t>(count);
  }
  return {};
}

// The MD5, or of an opaque one as many digits that tell contents apart.
std::string part_etag(const Received& stored) {
  if (!stored.md5.empty()) return to_hex(stored.md5);
  auto md5 = make_md5();
  md5->add(fmt::format("{} {}", stored.size, stored.checksum.value));
  return to_hex(md5->finish());
}

// md5 of the parts' md5s, with their count:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
std::string multipart_etag(const std::vector<PartRow>& parts) {
  auto md5 = make_md5();
  for (const PartRow& row : parts) md5->add(from_hex(row.part.etag).value_or(""));
  return fmt::format("{}-{}", to_hex(md5->finish()), parts.size());
}

std::optional<Checksum> joined_checksum(const Upload& upload, const std::vector<PartRow>& parts) {
  auto algorithm = upload.algorithm.value_or(ChecksumAlgorithm::crc64nvme);
  std::vector<PartDigest> digests;
  for (const PartRow& row : parts) {
    if (!row.part.checksum || row.part.checksum->algorithm != algorithm) return std::nullopt;
    digests.push_back({from_base64(row.part.checksum->value).value_or(""), row.part.size});
  }
  bool is_composite = upload.algorithm && upload.is_composite;
  std::string whole = is_crc(algorithm) ? to_base64(combine_crcs(algorithm, digests)) : "";
  if (!is_composite && is_crc(algorithm)) return Checksum{algorithm, whole, false};
  auto digest = make_digest(algorithm);
  for (const PartDigest& part : digests) digest->add(part.digest);
  auto value = fmt::format("{}-{}", to_base64(digest->finish()), parts.size());
  return Checksum{algorithm, value, true, whole};
}

}  // namespace

Answer<Upload> ObjectStore::begin_upload(const std::string& bucket, const std::string& key,
                                         const UploadOptions& options) {
  TRY(check_key(key));
  Upload upload{random_hex(16), key, clock_.now(), options.algorithm, options.is_composite};
  TRY(committer_->commit([&](db::Database& database) -> Answer<> {
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
  }));
  return upload;
}

Answer<Part> ObjectStore::put_part(const std::string& bucket, const std::string& key,
                                   const std::string& id, int number, http::Body& body,
                                   const Claims& claims) {
  if (number < 1 || number > kMaxParts) {
    return refuse("InvalidArgument", "Part number must be an integer between 1 and 10000");
  }
  Upload of = TRY(upload(bucket, key, id));
  Claims kept = claims;
  if (!kept.algorithm) kept.algorithm = of.algorithm;
  Stored stored = TRY(store_body(folder_, *intake_, body, kept));
  const Received& received = stored.received;
  Part part{number, received.size, part_etag(received), clock_.now(), received.checksum};
  auto write = [&](db::Database& database) -> Answer<std::string> {
    TRY(find_upload(database, bucket, key, id));
    auto old = database.prepare("SELECT file FROM part WHERE upload = ? AND number = ?");
    old.bind(id).bind(number);
    std::string old_file = TRY(old.step()) ? old.text(0) : "";
    auto insert = database.prepare("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?, ?)");
    insert.bind(id).bind(number).bind(stored.file.name()).bind(part.size).bind(part.etag);
    TRY(insert.bind(to_epoch_ms(part.modified)).bind(to_text(part.checksum)).run());
    return old_file;
  };
  auto old_file = TRY(commit_for<std::string>(*committer_, write));
  stored.keep();
  discard(old_file);
  return part;
}

Answer<Object> ObjectStore::complete_upload(const std::string& bucket, const std::string& key,
                                            const std::string& id, const Completion& completion) {
  std::vector<PartRow> all;
  auto found = rows_.with([&](db::Database& database) -> Answer<UploadRow> {
    UploadRow row = TRY(find_upload(database, bucket, key, id));
    all = TRY(find_parts(database, id));
    return row;
  });
  UploadRow row = TRY(std::move(found));
  auto chosen = TRY(choose_parts(all, completion.parts));

  Object object;
  object.key = key;
  object.etag = multipart_etag(chosen);
  object.headers = row.headers;
  object.tagging = row.tagging;
  object.checksum = joined_checksum(row.upload, chosen);
  if (completion.checksum && object.checksum && *completion.checksum != object.checksum->value) {
    return refuse("BadDigest", "The checksum you specified did not match the whole object's.");
  }
  // Joining may take a while and runs without the lock; the upload's rows keep its parts.
  NewFile joined = TRY(NewFile::create(folder_));
  Quota::Share share(intake_->quota);
  for (const PartRow& part : chosen) {
    TRY(append_file(path_of(folder_, part.file), joined.fd(), part.part.size));
    object.size += part.part.size;
  }
  share.force(object.size);  // the parts' bytes go in return
  TRY(sync(joined.fd()));
  object.modified = clock_.now();
  auto write = [&](db::Database& database) -> Answer<std::string> {
    TRY(find_upload(database, bucket, key, id));
    // A part that was sent again meanwhile has another file now: what was asked for is gone.
    all = TRY(find_parts(database, id));
    TRY(choose_parts(all, completion.parts));
    std::string old_file =
        TRY(replace_object(database, bucket, object, joined.name(), completion.condition));
    TRY(database.prepare("DELETE FROM upload WHERE id = ?").bind(id).run());
    return old_file;
  };
  auto old_file = TRY(commit_for<std::string>(*committer_, write));
  joined.keep();
  share.keep();
  discard(old_file);
  for (const PartRow& part : all) discard(part.file);
  return object;
}

Answer<> ObjectStore::abort_upload(const std::string& bucket, const std::string& key,
                                   const std::string& id) {
  std::vector<PartRow> all;
  TRY(committer_->commit([&](db::Database& database) -> Answer<> {
    TRY(find_upload(database, bucket, key, id));
    all = TRY(find_parts(database, id));
    TRY(database.prepare("DELETE FROM upload WHERE id = ?").bind(id).run());
    return {};
  }));
  for (const PartRow& part : all) discard(part.file);
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
    std::vector<Part> result;
    for (PartRow& row : TRY(find_parts(database, id))) result.push_back(std::move(row.part));
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
