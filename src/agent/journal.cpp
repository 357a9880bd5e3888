// SPDX-License-Identifier: Apache-2.0
#include "agent/journal.hpp"

#include <algorithm>

namespace trainyard::agent {

Result<std::unique_ptr<Journal>> Journal::open(fs::path file, const Clock& clock) {
  auto journal = std::unique_ptr<Journal>(new Journal(std::move(file), clock));
  auto text = read_file(journal->file_);
  if (!text && text.error().code == Code::not_found) return journal;
  auto document = TRY(json::parse_object(TRY(std::move(text))));
  State state;
  state.script_offset = TRY(json::get_integer(document, "script_offset"));
  if (const json::array* events = json::find_array(document, "events")) {
    for (const json::value& event : *events) {
      if (event.is_object()) state.events.push_back(TRY(protocol::parse_event(event.get_object())));
    }
  }
  journal->state_.with([&](State& current) { current = std::move(state); });
  return journal;
}

Result<> Journal::add(protocol::EventKind kind, const std::string& message) {
  protocol::Event event;
  event.kind = kind;
  event.message = message;
  return append(std::move(event));
}

Result<> Journal::finish(protocol::Outcome outcome, const std::string& failure_reason,
                         bool has_artifacts, const std::string& diagnosis) {
  protocol::Event event;
  event.kind = protocol::EventKind::finished;
  event.outcome = outcome;
  event.failure_reason = failure_reason;
  event.has_artifacts = has_artifacts;
  event.diagnosis = diagnosis;
  return append(std::move(event));
}

Result<> Journal::append(protocol::Event event) {
  auto saved = state_.with([&](State& state) {
    event.sequence = static_cast<int64_t>(state.events.size()) + 1;
    event.time_ms = to_epoch_ms(clock_.now());
    state.events.push_back(std::move(event));
    return save(file_, state);
  });
  if (listener_) listener_();
  return saved;
}

std::vector<protocol::Event> Journal::events_after(int64_t sequence) const {
  return state_.with([&](const State& state) {
    auto skipped = std::clamp<int64_t>(sequence, 0, static_cast<int64_t>(state.events.size()));
    return std::vector<protocol::Event>(state.events.begin() + skipped, state.events.end());
  });
}

bool Journal::has(protocol::EventKind kind) const {
  return state_.with([&](const State& state) {
    return std::any_of(state.events.begin(), state.events.end(),
                       [&](const protocol::Event& event) { return event.kind == kind; });
  });
}

Result<> Journal::set_script_offset(int64_t offset) {
  return state_.with([&](State& state) {
    state.script_offset = offset;
    return save(file_, state);
  });
}

int64_t Journal::script_offset() const {
  return state_.with([](const State& state) { return state.script_offset; });
}

Result<> Journal::save(const fs::path& file, const State& state) {
  json::array events;
  for (const protocol::Event& event : state.events) events.push_back(to_json(event));
  json::object document{{"script_offset", state.script_offset}, {"events", std::move(events)}};
  return write_file_atomically(file, json::serialize(document), 0600);
}

}  // namespace trainyard::agent
