// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/logs/actions.hpp"
#include "base/text.hpp"

namespace trainyard::api::logs {

namespace {

using trainyard::logs::EventQuery;
using trainyard::logs::LogEvent;

constexpr int64_t kMaxEvents = 10'000;

std::optional<Time> find_time(const json::object& request, std::string_view name) {
  auto epoch_ms = json::find_integer(request, name);
  if (!epoch_ms) return std::nullopt;
  return from_epoch_ms(*epoch_ms);
}

// "f/12": forward, the next event is number 12. "b/12": backward, the events before number 12.
struct Token {
  bool is_backward = false;
  int64_t position = 0;
  std::string text() const { return fmt::format("{}/{}", is_backward ? 'b' : 'f', position); }
};

std::optional<Token> parse_token(std::string_view text) {
  bool has_direction = text.starts_with("f/") || text.starts_with("b/");
  auto position = has_direction ? parse_unsigned(text.substr(2)) : std::nullopt;
  if (!position || *position > (uint64_t{1} << 60)) return std::nullopt;
  return Token{text[0] == 'b', static_cast<int64_t>(*position)};
}

// Terms that must all be in the message; -term must not; ?term: at least one of those. "quoted"
// terms may hold blanks.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
class TermFilter {
 public:
  explicit TermFilter(std::string_view pattern) {
    while (!(pattern = trim(pattern)).empty()) {
      char mark = pattern[0] == '-' || pattern[0] == '?' ? pattern[0] : '+';
      if (mark != '+') pattern.remove_prefix(1);
      bool is_quoted = pattern.starts_with('"');
      if (is_quoted) pattern.remove_prefix(1);
      size_t end = std::min(pattern.find(is_quoted ? '"' : ' '), pattern.size());
      terms_.push_back({mark, std::string(pattern.substr(0, end))});
      pattern.remove_prefix(std::min(end + 1, pattern.size()));
    }
  }

  bool takes(std::string_view message) const {
    bool has_options = false;
    bool has_one = false;
    for (const auto& [mark, term] : terms_) {
      bool is_there = message.find(term) != std::string_view::npos;
      if (mark == '+' && !is_there) return false;
      if (mark == '-' && is_there) return false;
      has_options = has_options || mark == '?';
      has_one = has_one || (mark == '?' && is_there);
    }
    return !has_options || has_one;
  }

 private:
  std::vector<std::pair<char, std::string>> terms_;
};

// The streams that FilterLogEvents asks for.
tl::expected<std::vector<std::string>, aws::Fault> asked_streams(const Services& services,
                                                                 const json::object& request) {
  std::vector<std::string> names;
  if (const json::array* list = json::find_array(request, "logStreamNames")) {
    for (const json::value& name : *list) {
      if (name.is_string()) names.emplace_back(json::view(name.get_string()));
    }
    return names;
  }
  std::string prefix = json::find_string(request, "logStreamNamePrefix").value_or("");
  constexpr size_t kMaxStreams = 10'000;
  auto streams = services.logs.streams(prefix, "", kMaxStreams);
  if (!streams) return tl::unexpected(aws::to_fault(streams.error(), aws::Dialect::json));
  for (const auto& stream : *streams) names.push_back(stream.name);
  return names;
}

json::object to_json(const LogEvent& event) {
  return {{"timestamp", to_epoch_ms(event.time)},
          {"message", event.message},
          {"ingestionTime", to_epoch_ms(event.ingested)}};
}

// "<time of the last event>:<how many events of that time were sent>"
struct FilterToken {
  int64_t time_ms = 0;
  size_t sent = 0;
};

std::optional<FilterToken> parse_filter_token(std::string_view text) {
  auto parts = split(text, ':');
  auto time = parts.size() == 2 ? parse_unsigned(parts[0]) : std::nullopt;
  auto sent = parts.size() == 2 ? parse_unsigned(parts[1]) : std::nullopt;
  if (!time || !sent) return std::nullopt;
  return FilterToken{static_cast<int64_t>(*time), static_cast<size_t>(*sent)};
}

}  // namespace

JsonReply get_log_events(const Services& services, const json::object& request) {
  if (json::find_string(request, "logGroupName").value_or(std::string(kLogGroup)) != kLogGroup) {
    return refuse_json("ResourceNotFoundException", "The specified log group does not exist.");
  }
  EventQuery query;
  query.stream = json::find_string(request, "logStreamName").value_or("");
  query.start = find_time(request, "startTime");
  query.end = find_time(request, "endTime");
  query.limit = static_cast<size_t>(std::clamp<int64_t>(
      json::find_integer(request, "limit").value_or(kMaxEvents), 1, kMaxEvents));
  query.is_backward = !json::find_bool(request, "startFromHead").value_or(false);
  std::string token_text = json::find_string(request, "nextToken").value_or("");
  int64_t at = -1;  // where an empty page leaves the reader
  if (!token_text.empty()) {
    auto token = parse_token(token_text);
    if (!token)
      return refuse_json("InvalidParameterException", "The specified nextToken is invalid.");
    query.is_backward = token->is_backward;
    query.from = token->is_backward ? token->position - 1 : token->position;
    at = token->position;
  }
  auto events = services.logs.events(query);
  if (!events && events.error().code == Code::not_found) {
    return refuse_json("ResourceNotFoundException", events.error().message);
  }
  auto count = services.logs.event_count(query.stream);
  if (!events || !count) return refuse_json(!events ? events.error() : count.error());
  if (at < 0) at = query.start ? 0 : *count;
  int64_t first = events->empty() ? at : events->front().position;
  int64_t next = events->empty() ? at : events->back().position + 1;
  json::array entries;
  for (const LogEvent& event : *events) entries.push_back(to_json(event));
  return json::serialize(json::object{{"events", std::move(entries)},
                                      {"nextForwardToken", Token{false, next}.text()},
                                      {"nextBackwardToken", Token{true, first}.text()}});
}

JsonReply filter_log_events(const Services& services, const json::object& request) {
  if (json::find_string(request, "logGroupName").value_or(std::string(kLogGroup)) != kLogGroup) {
    return refuse_json("ResourceNotFoundException", "The specified log group does not exist.");
  }
  auto streams = asked_streams(services, request);
  if (!streams) return tl::unexpected(streams.error());
  TermFilter filter(json::find_string(request, "filterPattern").value_or(""));
  size_t limit = static_cast<size_t>(std::clamp<int64_t>(
      json::find_integer(request, "limit").value_or(kMaxEvents), 1, kMaxEvents));
  FilterToken from;
  if (auto text = json::find_string(request, "nextToken")) {
    auto token = parse_filter_token(*text);
    if (!token)
      return refuse_json("InvalidParameterException", "The specified nextToken is invalid.");
    from = *token;
  }
  auto start_ms = std::max(from.time_ms, json::find_integer(request, "startTime").value_or(0));
  std::vector<LogEvent> merged;
  for (const std::string& stream : *streams) {
    auto events = services.logs.events(
        {stream, from_epoch_ms(start_ms), find_time(request, "endTime"), {}, false, kMaxEvents});
    if (!events && events.error().code == Code::not_found) continue;
    if (!events) return refuse_json(events.error());
    std::move(events->begin(), events->end(), std::back_inserter(merged));
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const LogEvent& a, const LogEvent& b) { return a.time < b.time; });
  json::array entries;
  FilterToken to = from;
  size_t skipped = 0;
  bool is_full = false;
  for (const LogEvent& event : merged) {
    bool was_sent = to_epoch_ms(event.time) == from.time_ms && skipped < from.sent;
    if (was_sent && ++skipped) continue;
    if ((is_full = entries.size() == limit)) break;
    to.sent = to_epoch_ms(event.time) == to.time_ms ? to.sent + 1 : 1;
    to.time_ms = to_epoch_ms(event.time);
    if (!filter.takes(event.message)) continue;
    json::object entry = to_json(event);
    entry["logStreamName"] = event.stream;
    entry["eventId"] = fmt::format("{:020}{:016}", event.stream_id, event.position);
    entries.push_back(std::move(entry));
  }
  json::object document{{"events", std::move(entries)}, {"searchedLogStreams", json::array()}};
  // A store page may end before the stream does; an empty page without progress is the end.
  bool has_more = is_full || (merged.size() >= kMaxEvents && to.time_ms != from.time_ms);
  if (has_more) document["nextToken"] = fmt::format("{}:{}", to.time_ms, to.sent);
  return json::serialize(document);
}

}  // namespace trainyard::api::logs
