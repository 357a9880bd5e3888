// SPDX-License-Identifier: Apache-2.0
// Objects as rows of objects.db, and the statements that several files need. Internal to objects/.
#pragma once

#include <string>

#include "db/statement.hpp"
#include "objects/object_store.hpp"

namespace trainyard::objects {

std::string to_text(const std::map<std::string, std::string>& headers);
std::map<std::string, std::string> headers_from(const std::string& text);
std::optional<std::string> to_text(const std::optional<Checksum>& checksum);
std::optional<Checksum> checksum_from(const std::optional<std::string>& text);

// The columns that read_object() expects.
constexpr std::string_view kObjectColumns =
    "key, size, etag, modified_ms, headers, checksum, tagging, file";
Object read_object(const db::Statement& row);

Answer<> require_bucket(db::Database& database, const std::string& bucket);

// Writes the object's row, unless the condition forbids, and keeps the file. Returns the name of
// the file that it replaces, "" where there was none. Requires: inside a transaction.
Answer<std::string> replace_object(db::Database& database, const std::string& bucket,
                                   const Object& object, const std::string& file,
                                   const WriteCondition& condition);

}  // namespace trainyard::objects
