// SPDX-License-Identifier: Apache-2.0
#include "launch/rank_tags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/text.hpp"

namespace trainyard::launch {

namespace {

struct Tag {
  std::string_view job;     // "1"
  uint64_t rank = 0;        // 0
  std::string_view stream;  // "<stdout>"
  std::string_view rest;    // behind the colon
};

// "[1,0]<stdout>:rest", or with ",mpirank:0,algo-1]" where `is_named`.
std::optional<Tag> parse_tag(std::string_view line, bool is_named) {
  size_t end = line.find(']');
  if (!line.starts_with('[') || end == std::string_view::npos) return std::nullopt;
  std::string_view behind = line.substr(end + 1);
  Tag tag;
  for (std::string_view stream : {"<stdout>", "<stderr>", "<stddiag>"}) {
    if (behind.starts_with(stream)) tag.stream = stream;
  }
  auto words = split(line.substr(1, end - 1), ',');
  if (tag.stream.empty() || words.size() != (is_named ? 3 : 2)) return std::nullopt;
  tag.job = words[0];
  std::string_view number = words[1];
  constexpr std::string_view kName = "mpirank:";
  if (is_named) {
    if (!number.starts_with(kName)) return std::nullopt;
    number.remove_prefix(kName.size());
  }
  auto rank = parse_unsigned(number);
  if (!rank || !parse_unsigned(tag.job)) return std::nullopt;
  tag.rank = *rank;
  tag.rest = behind.substr(tag.stream.size());
  if (tag.rest.starts_with(':')) tag.rest.remove_prefix(1);
  return tag;
}

}  // namespace

std::string with_host_of_rank(std::string_view line, const std::vector<std::string>& hosts,
                              int processes_per_host) {
  auto tag = parse_tag(line, false);
  if (!tag || processes_per_host < 1) return std::string(line);
  size_t host = tag->rank / static_cast<uint64_t>(processes_per_host);
  if (host >= hosts.size()) return std::string(line);
  return fmt::format("[{},mpirank:{},{}]{}:{}", tag->job, tag->rank, hosts[host], tag->stream,
                     tag->rest);
}

std::string without_tags(std::string_view output) {
  std::string others;
  std::map<uint64_t, std::string> ranks;
  std::optional<uint64_t> failed;
  for (std::string_view line : split(output, '\n')) {
    auto tag = parse_tag(line, true);
    if (!tag) {
      others += std::string(line) + "\n";
      continue;
    }
    ranks[tag->rank] += std::string(tag->rest) + "\n";
    if (!failed && tag->rest.starts_with("Traceback (")) failed = tag->rank;
  }
  if (ranks.empty()) return std::string(output);
  std::string text = others;
  for (const auto& [rank, printed] : ranks) {
    if (rank != failed) text += printed;
  }
  if (failed) text += ranks[*failed];
  return text;
}

}  // namespace trainyard::launch
