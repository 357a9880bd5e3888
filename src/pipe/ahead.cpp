// SPDX-License-Identifier: Apache-2.0
#include "pipe/ahead.hpp"

#include <algorithm>

namespace trainyard::pipe {

namespace {

constexpr uint64_t kLargest = 4 << 20;
constexpr size_t kSlots = 64;
constexpr size_t kSpares = 16;
constexpr size_t kConnections = 8;      // of a channel
constexpr size_t kAllConnections = 32;  // of a feeder, about
constexpr auto kForever = std::chrono::steady_clock::time_point::max();

size_t connections_of(const PipePlan& plan) {
  size_t share = kAllConnections / std::max<size_t>(1, plan.channels.size());
  return std::clamp<size_t>(share, 2, kConnections);
}

}  // namespace

transfer::S3Client& Clients::of(const std::string& bucket) {
  const RemoteS3* remote = find_remote(plan_.remotes, bucket);
  auto found = clients_.find(remote);
  if (found != clients_.end()) return found->second;
  auto access = remote == nullptr ? plan_.access : transfer::access_of(*remote);
  return clients_.try_emplace(remote, std::move(access), stop_).first->second;
}

bool Ahead::is_for(const Source& source) {
  return source.file.empty() && source.size > 0 && source.size <= kLargest;
}

Ahead::Ahead(const PipePlan& plan, const PipeChannel& channel, const std::vector<size_t>& order,
             uint64_t budget_bytes, std::stop_token stop)
    : plan_(plan),
      channel_(channel),
      order_(order),
      budget_bytes_(budget_bytes),
      relay_(std::move(stop), Relay{stop_}) {
  for (size_t i = connections_of(plan); i > 0; --i) threads_.emplace_back([this] { run(); });
}

Ahead::~Ahead() {
  stop_.request_stop();
}

const Source* Ahead::find_next(State& state) const {
  for (; state.entry < order_.size(); ++state.entry, state.piece = 0) {
    const Entry& entry = channel_.entries[order_[state.entry]];
    while (state.piece < entry.size()) {
      const auto& object = entry[state.piece++].object;
      if (object && is_for(*object)) return &*object;
    }
  }
  return nullptr;
}

// Null when there is nothing more to begin.
std::shared_ptr<Ahead::Slot> Ahead::begin_next(std::string& spare) {
  auto has_room = [&](const State& state) {
    return state.is_at_end || (state.slots.size() < kSlots && state.bytes < budget_bytes_);
  };
  std::shared_ptr<Slot> slot;
  state_.wait(stop_.get_token(), kForever, has_room, [&](State& state) {
    if (stop_.stop_requested()) return;
    const Source* source = find_next(state);
    state.is_at_end = source == nullptr;
    if (source == nullptr) return;
    slot = std::make_shared<Slot>();
    slot->source = source;
    state.slots.push_back(slot);
    state.bytes += source->size;
    if (!state.spares.empty()) {
      spare = std::move(state.spares.back());
      state.spares.pop_back();
    }
  });
  state_.change([](State&) {});  // there is something, or nothing will be
  return slot;
}

void Ahead::run() {
  Clients clients(plan_, stop_.get_token());
  for (;;) {
    Fetched fetched;
    auto slot = begin_next(fetched.bytes);
    if (!slot) return;
    const Source& source = *slot->source;
    fetched.bytes.clear();
    fetched.bytes.reserve(source.size);
    fetched.outcome = clients.of(source.uri.bucket)
                          .read_object(source.uri, source.etag, source.size,
                                       [&](std::string_view piece) -> Result<> {
                                         fetched.bytes += piece;
                                         return {};
                                       });
    slot->fetched.change([&](std::optional<Fetched>& result) { result = std::move(fetched); });
  }
}

Ahead::Fetched Ahead::next(std::string spare) {
  std::shared_ptr<Slot> slot;
  auto has_begun = [](const State& state) { return !state.slots.empty() || state.is_at_end; };
  state_.wait(stop_.get_token(), kForever, has_begun, [&](State& state) {
    if (!state.slots.empty()) slot = state.slots.front();
    if (state.spares.size() < kSpares) state.spares.push_back(std::move(spare));
  });
  Fetched cancelled{{}, fail(Code::cancelled, "stopped")};
  if (!slot) return cancelled;
  auto has_come = [](const std::optional<Fetched>& result) { return result.has_value(); };
  auto fetched = slot->fetched.wait(
      stop_.get_token(), kForever, has_come,
      [](std::optional<Fetched>& result) { return std::exchange(result, std::nullopt); });
  // Whoever waits for room is woken when there is room for many.
  bool has_much_room = state_.with([&](State& state) {
    state.slots.pop_front();
    state.bytes -= slot->source->size;
    return state.slots.size() <= kSlots / 2 && state.bytes <= budget_bytes_ / 2;
  });
  if (has_much_room) state_.change([](State&) {});
  return fetched ? *std::move(fetched) : cancelled;
}

}  // namespace trainyard::pipe
