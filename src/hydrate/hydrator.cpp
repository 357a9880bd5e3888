// SPDX-License-Identifier: Apache-2.0
#include "hydrate/hydrator.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "hydrate/messages.hpp"
#include "hydrate/schedule.hpp"
#include "hydrate/state_files.hpp"

namespace trainyard::hydrate {

namespace {

using Steady = std::chrono::steady_clock;

// As many files may be read at once without waiting for each other: tf.data's cycle_length is
// seldom above 16.
constexpr int kWorkers = 16;

// What the watchdog knows of one worker.
struct Slot {
  std::stop_source stop;
  Steady::time_point progress;
  bool is_reading = false;
  bool is_stalled = false;
};

Result<> write_at(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    // Buffered, never O_DIRECT: read-ahead may have brought in pages of this chunk already.
    ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "writing a chunk");
    bytes.remove_prefix(static_cast<size_t>(count));
    offset += static_cast<size_t>(count);
  }
  return {};
}

class Hydrator {
 public:
  Hydrator(const HydratePlan& plan, ChunkMap& map, Front& front, const MakeSource& make_source,
           Fd guardian)
      : plan_(plan),
        map_(map),
        front_(front),
        make_source_(make_source),
        guardian_(std::move(guardian)),
        schedule_(Schedule(map)) {}

  // Until the guardian is gone, and then until it is killed, where reads can still come.
  void serve();

 private:
  // One stream in progress: bytes gather to chunks.
  struct Filling {
    int worker;
    uint32_t file;
    uint64_t chunk;
    uint64_t end;
    size_t filled = 0;
    bool is_enough = false;  // nobody needs the rest of the range
  };

  void mourn(std::vector<std::jthread>& workers);
  void work(int worker, const std::stop_token& stop);
  // False after a stop: the source is of no more use.
  bool stream(int worker, const Work& work, Source& source, std::vector<char>& buffer);
  Result<> take_piece(Filling& filling, std::string_view piece, std::vector<char>& buffer);
  void check(int worker, uint32_t file, Source& source);
  void fail_stream(const Filling& filling, Error error);
  void tell(Note::Kind kind, uint32_t file);
  bool take_demands();
  void watch();

  const HydratePlan& plan_;
  ChunkMap& map_;
  Front& front_;
  const MakeSource& make_source_;
  Fd guardian_;
  Guarded<Schedule> schedule_;
  std::array<Guarded<Slot>, kWorkers> slots_;
};

void Hydrator::tell(Note::Kind kind, uint32_t file) {
  Note note{kind, file};
  // It cannot fail but by the guardian's death, which serve() sees.
  (void)::send(guardian_.get(), &note, sizeof note, MSG_NOSIGNAL);
}

Result<> Hydrator::take_piece(Filling& filling, std::string_view piece, std::vector<char>& buffer) {
  slots_[static_cast<size_t>(filling.worker)].with(
      [](Slot& slot) { slot.progress = Steady::now(); });
  while (!piece.empty()) {
    if (filling.is_enough) return fail(Code::cancelled, "the rest is not needed");
    uint64_t start = filling.chunk * kChunkBytes;
    size_t length =
        static_cast<size_t>(std::min(kChunkBytes, map_.size_bytes(filling.file) - start));
    size_t count = std::min(piece.size(), length - filling.filled);
    std::string_view chunk = piece.substr(0, count);
    if (count < length) {  // it comes in several pieces
      std::memcpy(buffer.data() + filling.filled, piece.data(), count);
      chunk = {buffer.data(), length};
    }
    filling.filled += count;
    piece.remove_prefix(count);
    if (filling.filled < length) continue;
    auto backing = TRY(front_.backing().use(filling.file));
    TRY(write_at(backing.get(), chunk, start));
    map_.set_present(filling.file, filling.chunk);  // only now: whoever dies before, it is absent
    tell(Note::Kind::filled, filling.file);
    filling.filled = 0;
    ++filling.chunk;
    filling.is_enough =
        !schedule_.with([&](Schedule& schedule) { return schedule.go_on(filling.worker); });
  }
  return {};
}

void Hydrator::fail_stream(const Filling& filling, Error error) {
  bool is_awaited = false;
  schedule_.change([&](Schedule& schedule) { is_awaited = schedule.failed(filling.worker); });
  const LazyFile& file = plan_.files[filling.file];
  if (!is_awaited) {
    log::warn("fetching ahead failed", {{"object", file.object.text()}, {"cause", error.message}});
    return;
  }
  uint64_t offset = filling.chunk * kChunkBytes + filling.filled;
  record_error(plan_.state, {file.object.text(), offset, error.message});
  tell(Note::Kind::failed, filling.file);
}

void Hydrator::check(int worker, uint32_t file, Source& source) {
  bool is_mine = false;
  schedule_.change([&](Schedule& schedule) { is_mine = schedule.begin_check(worker); });
  if (!is_mine) return;
  auto backing = front_.backing().use(file);
  auto verified = backing ? source.verify(file, backing->get()) : Failure(backing.error());
  map_.set_status(file, verified ? FileStatus::complete : FileStatus::failed);
  if (!verified) {
    record_error(plan_.state, {plan_.files[file].object.text(), 0, verified.error().message});
  }
  schedule_.change([&](Schedule& schedule) { schedule.done(worker); });
  tell(verified ? Note::Kind::complete : Note::Kind::failed, file);
}

bool Hydrator::stream(int worker, const Work& work, Source& source, std::vector<char>& buffer) {
  Guarded<Slot>& slot = slots_[static_cast<size_t>(worker)];
  Filling filling{worker, work.file, work.first, work.end};
  if (work.first < work.end) {
    uint64_t start = work.first * kChunkBytes;
    uint64_t end = std::min(work.end * kChunkBytes, map_.size_bytes(work.file));
    slot.with([](Slot& s) { s.progress = Steady::now(), s.is_reading = true; });
    auto read = source.read(work.file, start, end - start, [&](std::string_view piece) {
      return take_piece(filling, piece, buffer);
    });
    bool is_stalled = slot.with([](Slot& s) { return s.is_reading = false, s.is_stalled; });
    if (!read && !filling.is_enough) {
      Error error = std::move(read).error();
      if (is_stalled) {
        error = {Code::timeout, fmt::format("no byte came for {} s", plan_.stall_timeout.count())};
      }
      fail_stream(filling, std::move(error));
      return !is_stalled;
    }
  }
  check(worker, work.file, source);
  return true;
}

void Hydrator::work(int worker, const std::stop_token& stop) {
  std::vector<char> buffer(kChunkBytes);
  Guarded<Slot>& slot = slots_[static_cast<size_t>(worker)];
  std::unique_ptr<Source> source;
  while (!stop.stop_requested()) {
    std::optional<Work> found;
    auto ready = [&](Schedule& schedule) { return (found = schedule.next(worker)).has_value(); };
    schedule_.wait(stop, Steady::now() + std::chrono::hours(1), ready, [](Schedule&) {});
    if (!found || stop.stop_requested()) continue;
    if (!source) {
      auto token = slot.with([](Slot& s) { return s = Slot{}, s.stop.get_token(); });
      source = make_source_(token);
    }
    if (!stream(worker, *found, *source, buffer)) source.reset();
  }
}

// False when the guardian is gone.
bool Hydrator::take_demands() {
  for (;;) {
    Demand demand;
    ssize_t count = ::recv(guardian_.get(), &demand, sizeof demand, MSG_DONTWAIT);
    if (count == 0) return false;
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (map_.covers(demand.file, demand.offset, demand.length)) {
      // One that the hydrator before had no time to compare.
      if (map_.is_to_be_checked(demand.file)) {
        schedule_.change([&](Schedule& schedule) { schedule.demand_check(demand.file); });
      }
      tell(Note::Kind::filled, demand.file);
      continue;
    }
    schedule_.change(
        [&](Schedule& schedule) { schedule.demand(demand.file, demand.offset, demand.length); });
  }
}

void Hydrator::watch() {
  auto limit = Steady::now() - plan_.stall_timeout;
  for (Guarded<Slot>& guarded : slots_) {
    std::optional<std::stop_source> stalled;
    guarded.with([&](Slot& slot) {
      if (!slot.is_reading || slot.is_stalled || slot.progress > limit) return;
      slot.is_stalled = true;
      stalled = slot.stop;
    });
    if (stalled) stalled->request_stop();
  }
}

void Hydrator::serve() {
  std::vector<std::jthread> workers;
  for (int worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([this, worker](const std::stop_token& stop) { work(worker, stop); });
  }
  pollfd ready{guardian_.get(), POLLIN, 0};
  do {
    ::poll(&ready, 1, 500);
    watch();
  } while (take_demands());
  mourn(workers);
}

void Hydrator::mourn(std::vector<std::jthread>& workers) {
  record_error(plan_.state, {"", 0, "the guardian of the FastFile channel was killed"});
  front_.exempt(::getpid());
  // From now on this process answers, also what its own workers may be waiting for.
  std::jthread denier([this] { front_.deny_all(); });
  for (std::jthread& worker : workers) worker.request_stop();
  for (Guarded<Slot>& slot : slots_) {
    slot.with([](Slot& s) { return s.stop; }).request_stop();
  }
  workers.clear();
  // Should this process be killed as well, readers find an end rather than zeros.
  cut_incomplete(front_.backing(), map_);
}

}  // namespace

void run_hydrator(const HydratePlan& plan, ChunkMap& map, Front& front,
                  const MakeSource& make_source, Fd guardian) {
  front.become_hydrator();
  Hydrator hydrator(plan, map, front, make_source, std::move(guardian));
  hydrator.serve();
}

}  // namespace trainyard::hydrate
