// SPDX-License-Identifier: Apache-2.0
#include "pipe/stream.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "pipe/maker.hpp"
#include "pipe/order.hpp"

namespace trainyard::pipe {

namespace {

constexpr size_t kSpareBytes = 1 << 20;  // about what one holds
constexpr size_t kSlots = 64;            // file ranges keep their file open
constexpr auto kForever = std::chrono::steady_clock::time_point::max();

size_t bytes_of(const std::optional<Segment>& segment) {
  if (!segment) return 0;
  if (const auto* pages = std::get_if<transfer::PagePipe>(&*segment)) return pages->size();
  const auto* text = std::get_if<std::string>(&*segment);
  return text == nullptr ? 0 : text->size();
}

Failure stopped() {
  return fail(Code::cancelled, "stopped");
}

}  // namespace

Stream::Stream(const PipePlan& plan, const PipeChannel& channel, size_t budget_bytes)
    : plan_(plan), channel_(channel), budget_bytes_(budget_bytes) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Stream::~Stream() {
  auto round_stop = state_.with([](State& state) { return state.round_stop; });
  thread_.request_stop();
  round_stop.request_stop();
}

void Stream::begin(uint64_t epoch) {
  std::optional<std::stop_source> outdated;
  state_.change([&](State& state) {
    if (state.at_start == epoch) return;
    outdated = std::exchange(state.round_stop, std::stop_source());
    state.round += 1;
    state.wanted = epoch;
    state.at_start = epoch;
    state.slots.clear();
    state.bytes = 0;
    state.error.reset();
  });
  if (outdated) outdated->request_stop();
}

Result<std::optional<Segment>> Stream::next(const std::stop_token& stop) {
  std::optional<Slot> slot;
  std::optional<Error> error;
  state_.wait(
      stop, kForever,
      [](const State& state) { return !state.slots.empty() || state.error.has_value(); },
      [&](State& state) {
        if (state.slots.empty()) {
          error = state.error;
          return;
        }
        slot = std::move(state.slots.front());
        state.slots.pop_front();
        state.bytes -= bytes_of(slot->segment);
        state.at_start.reset();
        if (!slot->segment) state.at_start = slot->epoch + 1;
      });
  state_.change([](State&) {});  // there is room
  if (slot) return std::move(slot->segment);
  if (error) return Failure(*std::move(error));
  return stopped();
}

void Stream::give_back(std::string bytes) {
  // As many as are in use when the reader is slower than the store: with fewer, each piece would
  // cost its pages anew. The last that came is the next to go, it may be in the cache.
  state_.with([&](State& state) {
    bool has_room = state.bytes + state.spares.size() * kSpareBytes < budget_bytes_;
    if (has_room) state.spares.push_back(std::move(bytes));
  });
}

void Stream::give_back(transfer::PagePipe emptied) {
  if (emptied.size() > 0) return;
  state_.with([&](State& state) { state.empty_pipes.push_back(std::move(emptied)); });
}

std::optional<transfer::PagePipe> Stream::empty_pipe() {
  std::optional<transfer::PagePipe> found;
  state_.with([&](State& state) {
    if (state.empty_pipes.empty()) return;
    found = std::move(state.empty_pipes.back());
    state.empty_pipes.pop_back();
  });
  return found ? std::move(found) : transfer::PagePipe::make();
}

// Gives a spare text back.
Result<std::string> Stream::push(uint64_t round, Slot slot, const std::stop_token& stop) {
  auto has_room = [&](const State& state) {
    return state.round != round ||
           (state.slots.size() < kSlots && state.bytes < budget_bytes_ - ahead_bytes());
  };
  bool is_taken = false;
  std::string spare;
  state_.wait(stop, kForever, has_room, [&](State& state) {
    if (stop.stop_requested() || state.round != round) return;
    state.bytes += bytes_of(slot.segment);
    state.slots.push_back(std::move(slot));
    is_taken = true;
    if (state.spares.empty()) return;
    spare = std::move(state.spares.back());
    state.spares.pop_back();
  });
  if (!is_taken) return stopped();
  state_.change([](State&) {});  // there is something
  return spare;
}

void Stream::run(const std::stop_token& stop) {
  for (;;) {
    uint64_t round = 0;
    uint64_t epoch = 0;
    std::stop_token round_stop;
    state_.wait(
        stop, kForever, [](const State& state) { return state.wanted.has_value(); },
        [&](State& state) {
          if (!state.wanted) return;
          epoch = *std::exchange(state.wanted, std::nullopt);
          round = state.round;
          round_stop = state.round_stop.get_token();
        });
    if (stop.stop_requested()) return;
    for (Result<> made; made; ++epoch) {
      auto take = [&](Segment segment) {
        return push(round, Slot{epoch, std::move(segment)}, round_stop);
      };
      Maker maker(plan_, channel_, ahead_bytes(), round_stop, take,
                  [this] { return empty_pipe(); });
      made = maker.make(epoch).and_then([&] {
        return push(round, Slot{epoch, std::nullopt}, round_stop).map([](const std::string&) {});
      });
      if (made) continue;
      state_.change([&](State& state) {
        if (state.round == round) state.error = made.error();
      });
    }
  }
}

}  // namespace trainyard::pipe
