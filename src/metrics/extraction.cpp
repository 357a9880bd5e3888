// SPDX-License-Identifier: Apache-2.0
#include "metrics/extraction.hpp"

#include <re2/re2.h>

#include "base/text.hpp"

namespace trainyard::metrics {

namespace {

std::unique_ptr<re2::RE2> compile(const std::string& regex) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  return std::make_unique<re2::RE2>(regex, options);
}

// "0.25", "+1e-3", " 7 ", "12,"; as a float parser takes it.
std::optional<double> to_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  return parse_double(text);
}

}  // namespace

std::optional<std::string> fault_in(const std::string& regex) {
  auto pattern = compile(regex);
  if (!pattern->ok()) return pattern->error();
  if (pattern->NumberOfCapturingGroups() < 1) return "it has no group () around the value";
  return std::nullopt;
}

Extractor::Extractor(const std::vector<Definition>& definitions) {
  for (const Definition& definition : definitions) {
    if (fault_in(definition.regex)) continue;
    patterns_.push_back({definition.name, compile(definition.regex)});
  }
}

Extractor::~Extractor() = default;

std::vector<Found> Extractor::values_in(std::string_view line) const {
  std::vector<Found> found;
  re2::StringPiece text(line.data(), line.size());
  for (const Pattern& pattern : patterns_) {
    re2::StringPiece group;
    if (!re2::RE2::PartialMatch(text, *pattern.regex, &group)) continue;
    auto value = to_number({group.data(), group.size()});
    if (value) found.push_back({pattern.name, *value});
  }
  return found;
}

}  // namespace trainyard::metrics
