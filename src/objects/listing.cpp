// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "objects/object_store.hpp"
#include "objects/rows.hpp"

namespace trainyard::objects {

namespace {

// The least text that is greater than all that begin with `prefix`; nullopt: there is none.
std::optional<std::string> successor_of_prefix(std::string prefix) {
  while (!prefix.empty()) {
    auto last = static_cast<unsigned char>(prefix.back());
    if (last != 0xff) {
      prefix.back() = static_cast<char>(last + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return std::nullopt;
}

// "a/b/" for key "a/b/c", prefix "a/", delimiter "/"; "" where the key has none.
std::string common_prefix(std::string_view key, const ListQuery& query) {
  if (query.delimiter.empty()) return "";
  size_t at = key.find(query.delimiter, query.prefix.size());
  if (at == std::string_view::npos) return "";
  return std::string(key.substr(0, at + query.delimiter.size()));
}

// Where the listing begins: the prefix, or just behind `after`.
std::string first_key(const ListQuery& query) {
  if (query.after.empty() || query.after < query.prefix) return query.prefix;
  if (common_prefix(query.after, query) == query.after) {
    return successor_of_prefix(query.after).value_or(query.after);
  }
  return query.after + '\0';
}

// Reads keys from `from` on until the listing is full, a common prefix is found (then `from` is set
// behind it), or the keys end (then `from` is reset).
Result<> read_run(db::Database& database, const std::string& bucket, const ListQuery& query,
                  std::optional<std::string>& from, Listing& listing) {
  auto row = database.prepare(
      "SELECT key, size, etag, modified_ms, '{}', checksum, '', file FROM object "
      "WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?");
  size_t count = listing.objects.size() + listing.common_prefixes.size();
  row.bind(bucket).bind_blob(*from).bind(query.limit - count + 1);
  from.reset();
  while (TRY(row.step())) {
    std::string key = row.text(0);
    if (!key.starts_with(query.prefix)) return {};
    if (count == query.limit) {
      listing.is_truncated = true;
      return {};
    }
    ++count;
    std::string folder = common_prefix(key, query);
    listing.last = folder.empty() ? key : folder;
    if (!folder.empty()) {
      from = successor_of_prefix(folder);
      listing.common_prefixes.push_back(std::move(folder));
      return {};
    }
    listing.objects.push_back(read_object(row));
  }
  return {};
}

}  // namespace

Answer<Listing> ObjectStore::list(const std::string& bucket, const ListQuery& query) {
  return listings_.with([&](db::Database& database) -> Answer<Listing> {
    TRY(require_bucket(database, bucket));
    Listing listing;
    if (query.limit == 0) return listing;
    std::optional<std::string> from = first_key(query);
    while (from && !listing.is_truncated) TRY(read_run(database, bucket, query, from, listing));
    return listing;
  });
}

}  // namespace trainyard::objects
