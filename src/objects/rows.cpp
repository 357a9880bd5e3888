// SPDX-License-Identifier: Apache-2.0
#include "objects/rows.hpp"

#include "base/text.hpp"

namespace trainyard::objects {

std::string to_text(const std::map<std::string, std::string>& headers) {
  json::object document;
  // Header values are bytes, JSON text is UTF-8.
  for (const auto& [name, value] : headers) document[name] = percent_encode(value, true);
  return json::serialize(document);
}

std::map<std::string, std::string> headers_from(const std::string& text) {
  std::map<std::string, std::string> headers;
  if (text == "{}") return headers;
  auto document = json::parse_object(text);
  if (!document) return headers;
  for (const auto& [name, value] : *document) {
    if (!value.is_string()) continue;
    headers[std::string(name)] = percent_decode(json::view(value.get_string())).value_or("");
  }
  return headers;
}

std::optional<std::string> to_text(const std::optional<Checksum>& checksum) {
  if (!checksum) return std::nullopt;
  json::object document{{"algorithm", api_name(checksum->algorithm)},
                        {"value", checksum->value},
                        {"is_composite", checksum->is_composite}};
  if (!checksum->whole.empty()) document["whole"] = checksum->whole;
  return json::serialize(document);
}

namespace {

// What to_text() writes for nearly all objects, without the cost of a JSON document: a page of a
// listing has a thousand.
std::optional<Checksum> plain_checksum_from(std::string_view text) {
  constexpr std::string_view kAlgorithm = R"({"algorithm":")";
  constexpr std::string_view kValue = R"(","value":")";
  constexpr std::string_view kEnd = R"(","is_composite":false})";
  size_t value = text.find(kValue);
  if (!text.starts_with(kAlgorithm) || !text.ends_with(kEnd) || value == std::string_view::npos) {
    return std::nullopt;
  }
  auto algorithm =
      parse_checksum_algorithm(text.substr(kAlgorithm.size(), value - kAlgorithm.size()));
  text = text.substr(value + kValue.size());
  text.remove_suffix(kEnd.size());
  if (!algorithm || text.find_first_of("\\\"") != std::string_view::npos) return std::nullopt;
  return Checksum{*algorithm, std::string(text), false};
}

}  // namespace

std::optional<Checksum> checksum_from(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  if (auto plain = plain_checksum_from(*text)) return plain;
  auto document = json::parse_object(*text);
  if (!document) return std::nullopt;
  auto algorithm = parse_checksum_algorithm(json::find_string(*document, "algorithm").value_or(""));
  if (!algorithm) return std::nullopt;
  return Checksum{*algorithm, json::find_string(*document, "value").value_or(""),
                  json::find_bool(*document, "is_composite").value_or(false),
                  json::find_string(*document, "whole").value_or("")};
}

Object read_object(const db::Statement& row) {
  Object object;
  object.key = row.text(0);
  object.size = static_cast<uint64_t>(row.integer(1));
  object.etag = row.text(2);
  object.modified = from_epoch_ms(row.integer(3));
  object.headers = headers_from(row.text(4));
  object.checksum = checksum_from(row.optional_text(5));
  object.tagging = row.text(6);
  object.file = row.text(7);
  return object;
}

Answer<> require_bucket(db::Database& database, const std::string& bucket) {
  auto row = database.prepare("SELECT 1 FROM bucket WHERE name = ?");
  row.bind(bucket);
  if (!TRY(row.step())) return refuse("NoSuchBucket", "The specified bucket does not exist");
  return {};
}

Answer<std::string> replace_object(db::Database& database, const std::string& bucket,
                                   const Object& object, const std::string& file,
                                   const WriteCondition& condition) {
  TRY(require_bucket(database, bucket));
  auto old = database.prepare("SELECT file, etag FROM object WHERE bucket = ? AND key = ?");
  old.bind(bucket).bind_blob(object.key);
  bool is_there = TRY(old.step());
  std::string old_file = is_there ? old.text(0) : "";
  if (condition.if_match && !is_there) {
    return refuse("NoSuchKey", "The specified key does not exist.");
  }
  if ((condition.if_absent && is_there) ||
      (condition.if_match && *condition.if_match != old.text(1))) {
    return refuse("PreconditionFailed",
                  "At least one of the pre-conditions you specified did not hold");
  }
  auto write = database.prepare(
      "INSERT OR REPLACE INTO object (bucket, key, size, etag, modified_ms, headers, checksum, "
      "tagging, file) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  write.bind(bucket).bind_blob(object.key).bind(object.size).bind(object.etag);
  write.bind(to_epoch_ms(object.modified)).bind(to_text(object.headers));
  write.bind(to_text(object.checksum)).bind(object.tagging).bind(file);
  TRY(write.run());
  return old_file;
}

}  // namespace trainyard::objects
