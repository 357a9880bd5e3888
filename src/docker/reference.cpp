// SPDX-License-Identifier: Apache-2.0
#include "docker/reference.hpp"

#include <algorithm>

namespace trainyard::docker {

namespace {

bool is_allowed(char letter) {
  bool is_plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                  (letter >= '0' && letter <= '9');
  return is_plain || std::string_view("._-/:@+[]").find(letter) != std::string_view::npos;
}

bool has_upper(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

Result<Reference> parse_reference(std::string_view image) {
  auto refuse = [&] { return fail(Code::invalid, "'{}' is no image name", image); };
  constexpr size_t kMaxLength = 512;
  if (image.empty() || image.size() > kMaxLength) return refuse();
  if (!std::all_of(image.begin(), image.end(), is_allowed)) return refuse();
  Reference parsed;
  std::string_view rest = image;
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    parsed.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (parsed.digest.find(':') == std::string::npos || parsed.digest.ends_with(':') ||
        parsed.digest.find_first_of("/@") != std::string::npos) {
      return refuse();
    }
  }
  size_t slash = rest.rfind('/');
  size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    parsed.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (parsed.tag.empty()) return refuse();
  }
  if (parsed.tag.empty() && parsed.digest.empty()) parsed.tag = "latest";
  parsed.repository = rest;
  std::string_view first = rest.substr(0, rest.find('/'));
  bool is_registry = first.size() < rest.size() &&
                     (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  parsed.registry = is_registry ? first : "docker.io";
  std::string_view path = is_registry ? rest.substr(first.size() + 1) : rest;
  bool is_wrong = path.empty() || path.starts_with('/') || path.ends_with('/') ||
                  path.find("//") != std::string_view::npos ||
                  path.find(':') != std::string_view::npos || has_upper(path);
  if (is_wrong) return refuse();
  return parsed;
}

}  // namespace trainyard::docker
