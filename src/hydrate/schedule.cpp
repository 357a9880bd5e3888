// SPDX-License-Identifier: Apache-2.0
#include "hydrate/schedule.hpp"

#include <algorithm>

namespace trainyard::hydrate {

namespace {

constexpr uint64_t kRandomExtraBytes = 128 << 10;
// A stream that will be there within so many chunks is waited for rather than overtaken.
constexpr uint64_t kSkipChunks = 16;
constexpr uint64_t kLargestWindow = 256;  // chunks
// Idle time: streams at once, and the size up to which files are fetched beside a demanded stream:
// they cost round trips more than bandwidth.
constexpr size_t kIdleStreams = 4;
constexpr uint64_t kSmallFileBytes = 8 << 20;

}  // namespace

Schedule::Schedule(const ChunkMap& map) : map_(map) {
  for (uint32_t file = 0; file < map.file_count(); ++file) {
    if (map.status(file) == FileStatus::lazy) lazy_.insert(lazy_.end(), file);
  }
}

void Schedule::demand(uint32_t file, uint64_t offset, uint64_t length) {
  uint64_t size = map_.size_bytes(file);
  if (length == 0 || offset >= size) return;
  uint64_t first = offset / kChunkBytes;
  uint64_t last_byte = offset + std::min(length, size - offset) - 1;
  Reader& reader = readers_[file];
  bool goes_through = first == 0 || (first + 1 >= reader.end && first <= reader.end + kSkipChunks);
  if (first == 0) {
    reader.window = map_.chunk_count(file);
  } else if (goes_through && reader.end != 0) {
    reader.window = std::min(std::max<uint64_t>(2, reader.window * 2), kLargestWindow);
  } else {
    reader.window = 1;
    last_byte = std::min(size - 1, last_byte + kRandomExtraBytes);
  }
  reader.end = last_byte / kChunkBytes + 1;
  demands_.push_back({file, first, reader.end});
  cursor_ = file;
}

uint64_t Schedule::first_missing(uint32_t file, uint64_t from) const {
  uint64_t count = map_.chunk_count(file);
  while (from < count && map_.is_present(file, from)) ++from;
  return from;
}

uint64_t Schedule::first_present(uint32_t file, uint64_t from, uint64_t limit) const {
  while (from < limit && !map_.is_present(file, from)) ++from;
  return from;
}

void Schedule::forget_satisfied() {
  std::erase_if(demands_, [&](Demand& demand) {
    if (map_.status(demand.file) != FileStatus::lazy) return true;
    demand.first = first_missing(demand.file, demand.first);
    return demand.first >= demand.end;
  });
}

Schedule::Stream* Schedule::covering(const Demand& demand) {
  for (auto& [worker, stream] : streams_) {
    bool comes_by = stream.file == demand.file && stream.at <= demand.first &&
                    demand.first < stream.end && demand.first - stream.at <= kSkipChunks;
    if (comes_by) return &stream;
  }
  return nullptr;
}

bool Schedule::is_streamed(uint32_t file) const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto& entry) { return entry.second.file == file; });
}

bool Schedule::has_demanded_stream() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& entry) { return entry.second.is_demanded; });
}

bool Schedule::has_open_demand() {
  return std::any_of(demands_.begin(), demands_.end(),
                     [&](const Demand& demand) { return covering(demand) == nullptr; });
}

uint64_t Schedule::stream_end(const Demand& demand) {
  uint64_t count = map_.chunk_count(demand.file);
  uint64_t wanted = std::max(demand.end, demand.first + readers_[demand.file].window);
  uint64_t end = first_present(demand.file, demand.first, std::min(count, wanted));
  for (const auto& [worker, stream] : streams_) {  // up to where another one is
    if (stream.file == demand.file && stream.at > demand.first) end = std::min(end, stream.at);
  }
  return end;
}

std::optional<Work> Schedule::next_demanded(int worker) {
  forget_satisfied();
  for (const Demand& demand : demands_) {
    if (Stream* stream = covering(demand)) {
      stream->is_demanded = true;
      continue;
    }
    uint64_t end = stream_end(demand);
    streams_[worker] = {demand.file, demand.first, end, true};
    lazy_.insert(demand.file);  // one that failed may be completed again
    return Work{demand.file, demand.first, end};
  }
  return std::nullopt;
}

std::optional<Work> Schedule::next_idle(int worker) {
  if (streams_.size() >= kIdleStreams || lazy_.empty()) return std::nullopt;
  bool is_busy = !demands_.empty() || has_demanded_stream();
  auto at = lazy_.lower_bound(cursor_);
  // Beside demands only what comes next is looked at: a plan may have 200,000 files.
  size_t steps = std::min(lazy_.size(), is_busy ? kIdleStreams * 2 : lazy_.size());
  for (size_t step = 0; step < steps && !lazy_.empty(); ++step) {
    if (at == lazy_.end()) at = lazy_.begin();
    uint32_t file = *at;
    if (map_.status(file) != FileStatus::lazy) {
      at = lazy_.erase(at);
      continue;
    }
    ++at;
    if (is_streamed(file) || (is_busy && map_.size_bytes(file) > kSmallFileBytes)) continue;
    uint64_t first = first_missing(file, 0);
    uint64_t end = first_present(file, first, map_.chunk_count(file));
    streams_[worker] = {file, first, end, false};
    return Work{file, first, end};
  }
  return std::nullopt;
}

void Schedule::demand_check(uint32_t file) {
  checks_.insert(file);
}

// A file that is being streamed is compared at the end of its streams.
std::optional<Work> Schedule::next_check(int worker) {
  while (!checks_.empty()) {
    uint32_t file = checks_.extract(checks_.begin()).value();
    if (is_streamed(file) || !map_.is_to_be_checked(file)) continue;
    uint64_t count = map_.chunk_count(file);
    streams_[worker] = {file, count, count, true};
    return Work{file, count, count};
  }
  return std::nullopt;
}

std::optional<Work> Schedule::next(int worker) {
  if (auto check = next_check(worker)) return check;
  auto work = next_demanded(worker);
  return work ? work : next_idle(worker);
}

bool Schedule::go_on(int worker) {
  Stream& stream = streams_.at(worker);
  ++stream.at;
  if (stream.at >= stream.end || map_.is_present(stream.file, stream.at)) return false;
  if (map_.status(stream.file) != FileStatus::lazy) return false;
  for (const auto& [other, running] : streams_) {
    bool meets = other != worker && running.file == stream.file && running.at == stream.at;
    if (meets && running.at < running.end) return false;
  }
  forget_satisfied();
  bool is_awaited = std::any_of(demands_.begin(), demands_.end(),
                                [&](const Demand& demand) { return demand.file == stream.file; });
  if (is_awaited || map_.size_bytes(stream.file) <= kSmallFileBytes) return true;
  if (has_open_demand()) return false;
  return stream.is_demanded || !has_demanded_stream();
}

bool Schedule::begin_check(int worker) {
  Stream& stream = streams_.at(worker);
  bool is_checked = std::any_of(streams_.begin(), streams_.end(), [&](const auto& entry) {
    return entry.first != worker && entry.second.file == stream.file && entry.second.is_check;
  });
  bool is_due =
      !is_checked && map_.status(stream.file) == FileStatus::lazy && map_.is_whole(stream.file);
  if (!is_due) {
    streams_.erase(worker);
    return false;
  }
  stream.at = stream.end = map_.chunk_count(stream.file);
  stream.is_check = true;
  stream.is_demanded = false;
  return true;
}

void Schedule::done(int worker) {
  streams_.erase(worker);
}

bool Schedule::failed(int worker) {
  uint32_t file = streams_.at(worker).file;
  streams_.erase(worker);
  lazy_.erase(file);
  return std::erase_if(demands_, [&](const Demand& demand) { return demand.file == file; }) != 0;
}

}  // namespace trainyard::hydrate
