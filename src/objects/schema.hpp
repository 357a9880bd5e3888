// SPDX-License-Identifier: Apache-2.0
// Tables of objects.db. Keys are blobs: S3 orders them by bytes. Internal to objects/.
#pragma once

#include <array>
#include <string_view>

namespace trainyard::objects {

inline constexpr std::string_view kTables = R"sql(
CREATE TABLE bucket (
  name       TEXT PRIMARY KEY,
  created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE object (
  bucket      TEXT NOT NULL REFERENCES bucket (name),
  key         BLOB NOT NULL,
  file        TEXT NOT NULL,     -- random name below objects/
  size        INTEGER NOT NULL,
  etag        TEXT NOT NULL,
  modified_ms INTEGER NOT NULL,
  headers     TEXT NOT NULL,     -- JSON object
  checksum    TEXT,              -- JSON object
  tagging     TEXT NOT NULL,
  PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX object_file ON object (file);

CREATE TABLE upload (
  id           TEXT PRIMARY KEY,
  bucket       TEXT NOT NULL REFERENCES bucket (name),
  key          BLOB NOT NULL,
  started_ms   INTEGER NOT NULL,
  headers      TEXT NOT NULL,
  tagging      TEXT NOT NULL,
  algorithm    TEXT,             -- CRC32, …; NULL: the client did not ask for one
  is_composite INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE part (
  upload      TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
  number      INTEGER NOT NULL,
  file        TEXT NOT NULL,
  size        INTEGER NOT NULL,
  etag        TEXT NOT NULL,
  modified_ms INTEGER NOT NULL,
  checksum    TEXT,
  PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE INDEX part_file ON part (file);
)sql";

inline constexpr std::string_view kStrides = R"sql(
-- Above 0: part n is at (n - 1) * stride of a file that the upload's parts share. Else it is all of
-- a file of its own.
ALTER TABLE part ADD COLUMN stride INTEGER NOT NULL DEFAULT 0;
)sql";

inline constexpr std::array kMigrations = {kTables, kStrides};

}  // namespace trainyard::objects
