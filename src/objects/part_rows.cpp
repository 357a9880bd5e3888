// SPDX-License-Identifier: Apache-2.0
#include "objects/part_rows.hpp"

#include "objects/rows.hpp"

namespace trainyard::objects {

namespace {

PartRow read_part(const db::Statement& row) {
  Part part{static_cast<int>(row.integer(0)), static_cast<uint64_t>(row.integer(1)), row.text(2),
            from_epoch_ms(row.integer(3)), checksum_from(row.optional_text(4))};
  return {std::move(part), row.text(5), static_cast<uint64_t>(row.integer(6))};
}

}  // namespace

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
      "SELECT number, size, etag, modified_ms, checksum, file, stride FROM part WHERE upload = ? "
      "ORDER BY number");
  row.bind(id);
  std::vector<PartRow> parts;
  while (TRY(row.step())) parts.push_back(read_part(row));
  return parts;
}

Answer<std::optional<PartRow>> find_part(db::Database& database, const std::string& id,
                                         int number) {
  auto row = database.prepare(
      "SELECT number, size, etag, modified_ms, checksum, file, stride FROM part "
      "WHERE upload = ? AND number = ?");
  row.bind(id).bind(number);
  std::optional<PartRow> part;
  if (TRY(row.step())) part = read_part(row);
  return part;
}

Answer<> remove_upload(db::Database& database, const std::string& id) {
  TRY(database.prepare("DELETE FROM upload WHERE id = ?").bind(id).run());
  return {};
}

}  // namespace trainyard::objects
