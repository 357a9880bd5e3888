// SPDX-License-Identifier: Apache-2.0
#include "transfer/manifest.hpp"

#include "base/json.hpp"

namespace trainyard::transfer {

Result<ManifestKeys> parse_manifest(std::string_view text) {
  auto parsed = json::parse(text);
  if (!parsed) return Failure(std::move(parsed).error().within("reading the manifest"));
  const json::array* elements = parsed->if_array();
  if (elements == nullptr || elements->empty() || !elements->front().is_object()) {
    return fail(Code::invalid,
                R"(the manifest is no JSON list that begins with {{"prefix": "s3://…"}})");
  }
  auto prefix = json::find_string(elements->front().get_object(), "prefix");
  if (!prefix) return fail(Code::invalid, "element 1 of the manifest has no text 'prefix'");
  ManifestKeys keys;
  auto uri = S3Uri::parse(*prefix);
  if (!uri) return Failure(std::move(uri).error().within("element 1 of the manifest"));
  keys.prefix = *std::move(uri);
  keys.paths.reserve(elements->size() - 1);
  for (size_t i = 1; i < elements->size(); ++i) {
    const json::string* path = (*elements)[i].if_string();
    if (path == nullptr || path->empty()) {
      return fail(Code::invalid, "element {} of the manifest is no text, or an empty one", i + 1);
    }
    keys.paths.emplace_back(json::view(*path));
  }
  return keys;
}

}  // namespace trainyard::transfer
