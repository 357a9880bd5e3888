// SPDX-License-Identifier: Apache-2.0
// Uploads in parts as rows of objects.db. Internal to objects/.
#pragma once

#include <string>
#include <vector>

#include "db/statement.hpp"
#include "objects/object_store.hpp"
#include "objects/part_slots.hpp"

namespace trainyard::objects {

struct UploadRow {
  Upload upload;
  std::map<std::string, std::string> headers;
  std::string tagging;
};

struct PartRow {
  Part part;
  std::string file;
  uint64_t stride = 0;  // above 0: in a slot of a file that parts share

  bool has_slot() const { return stride > 0; }
  uint64_t offset() const { return offset_of_part(part.number, stride); }
};

Answer<UploadRow> find_upload(db::Database& database, const std::string& bucket,
                              const std::string& key, const std::string& id);  // NoSuchUpload

// In order of their numbers.
Answer<std::vector<PartRow>> find_parts(db::Database& database, const std::string& id);
Answer<std::optional<PartRow>> find_part(db::Database& database, const std::string& id, int number);

// With the rows of its parts. Requires: inside a transaction.
Answer<> remove_upload(db::Database& database, const std::string& id);

}  // namespace trainyard::objects
