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

// Where a tag with its colon stands behind `from`, and its length; npos: nowhere.
std::pair<size_t, size_t> find_tag(std::string_view line, size_t from) {
  for (size_t at = line.find('[', from); at != std::string_view::npos;
       at = line.find('[', at + 1)) {
    auto tag = parse_tag(line.substr(at), false);
    if (!tag) continue;
    size_t length = line.size() - at - tag->rest.size();
    if (line[at + length - 1] == ':') return {at, length};
  }
  return {std::string_view::npos, 0};
}

}  // namespace

std::string RankLines::join(std::string_view line) {
  auto [at, length] = find_tag(line, 0);
  if (at != 0) return std::string(line);
  for (;;) {
    std::string tag(line.substr(at, length));
    auto [next, next_length] = find_tag(line, at + length);
    std::string_view text = line.substr(at + length, next - at - length);
    if (next != std::string_view::npos) {
      begun_[tag] += text;
      at = next;
      length = next_length;
      continue;
    }
    auto begun = begun_.extract(tag);
    return tag + (begun.empty() ? "" : begun.mapped()) + std::string(text);
  }
}

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
