// SPDX-License-Identifier: Apache-2.0
#include "pipe/augmented_manifest.hpp"

#include <map>

#include "base/json.hpp"
#include "base/text.hpp"

namespace trainyard::pipe {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

size_t end_of_string(std::string_view text, size_t at) {
  for (++at; text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

// Where the value that begins at `at` ends, in text that is known to be JSON.
size_t end_of_value(std::string_view text, size_t at) {
  for (int depth = 0;;) {
    char c = text[at];
    if (depth == 0 && (c == ',' || c == '}')) return at;
    if (c == '"') {
      at = end_of_string(text, at);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
}

// The members of a JSON object as they are written: the parser's numbers have lost their spelling.
Result<std::map<std::string, std::string_view>> written_members(std::string_view object) {
  TRY(json::parse_object(object));  // so the walk below can trust it
  std::map<std::string, std::string_view> members;
  size_t at = object.find('{') + 1;
  for (;;) {
    at = object.find_first_not_of(kBlanks, at);
    if (object[at] == '}') return members;
    if (object[at] == ',') {
      ++at;
      continue;
    }
    size_t name_end = end_of_string(object, at);
    auto name = TRY(json::parse(object.substr(at, name_end - at)));
    size_t begin = object.find_first_not_of(kBlanks, object.find(':', name_end) + 1);
    at = end_of_value(object, begin);
    members[std::string(json::view(name.get_string()))] = trim(object.substr(begin, at - begin));
  }
}

Result<Piece> piece_of(std::string_view name, std::string_view written, const Resolve& resolve) {
  auto value = TRY(json::parse(written));
  const json::string* text = value.if_string();
  if (!name.ends_with("-ref")) {
    return Piece{std::string(text == nullptr ? written : json::view(*text)), {}};
  }
  if (text == nullptr) return fail(Code::invalid, "attribute '{}' is no text", name);
  auto uri = S3Uri::parse(json::view(*text));
  if (!uri) return Failure(std::move(uri).error().within(fmt::format("attribute '{}'", name)));
  if (uri->key.empty()) return fail(Code::invalid, "attribute '{}' names no object", name);
  return Piece{{}, TRY(resolve(*uri))};
}

Result<Entry> entry_of(std::string_view line, const std::vector<std::string>& names,
                       const Resolve& resolve) {
  auto members = TRY(written_members(line));
  Entry entry;
  for (const std::string& name : names) {
    auto found = members.find(name);
    if (found == members.end()) return fail(Code::invalid, "no attribute '{}'", name);
    entry.push_back(TRY(piece_of(name, found->second, resolve)));
  }
  return entry;
}

}  // namespace

Result<std::vector<Entry>> parse_augmented_manifest(std::string_view text,
                                                    const std::vector<std::string>& names,
                                                    const Resolve& resolve) {
  std::vector<Entry> entries;
  for (uint64_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(kBlanks) == std::string_view::npos) continue;
    auto entry = entry_of(line, names, resolve);
    if (!entry) {
      return Failure(std::move(entry).error().within(
          fmt::format("line {} of the augmented manifest", number)));
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace trainyard::pipe
