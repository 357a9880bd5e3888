// SPDX-License-Identifier: Apache-2.0
#include "agent/requirements.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

bool is_plain(std::string_view line) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-[],<>=!~*+ ();'\"";
  bool begins_with_name = std::isalnum(static_cast<unsigned char>(line.front())) != 0;
  bool is_made_of = line.find_first_not_of(kLetters) == std::string_view::npos;
  bool has_option = line.find(" -") != std::string_view::npos;
  // Installers take a bare file name for a file of the current folder.
  constexpr std::array<std::string_view, 6> kArchives = {".whl", ".zip", ".gz",
                                                         ".bz2", ".xz",  ".tar"};
  bool is_file = std::any_of(kArchives.begin(), kArchives.end(),
                             [&](std::string_view ending) { return line.ends_with(ending); });
  return begins_with_name && is_made_of && !has_option && !is_file;
}

std::string_view without_comment(std::string_view line) {
  if (line.starts_with('#')) return "";
  return trim(line.substr(0, line.find(" #")));
}

}  // namespace

std::optional<std::string> plain_requirements(std::string_view text) {
  std::string plain;
  for (std::string_view line : split(text, '\n')) {
    line = without_comment(trim(line));
    if (line.empty()) continue;
    if (!is_plain(line)) return std::nullopt;
    plain += std::string(line) + "\n";
  }
  return plain;
}

}  // namespace trainyard::agent
