// SPDX-License-Identifier: Apache-2.0
#include "transfer/fetch_loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

using std::chrono::milliseconds;

constexpr size_t kScratchBytes = kBufferBytes + (64 << 10);
constexpr milliseconds kBusyPause{50};  // until another process may have filled the same file

}  // namespace

FetchLoop::FetchLoop(Batch& batch, size_t number)
    : batch_(batch),
      number_(number),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      signer_(batch.access.credentials, batch.access.region),
      scratch_(kScratchBytes) {}

FetchLoop::~FetchLoop() {
  for (auto& exchange : exchanges_) exchange->piece.end_hashing();  // before the buffers go
}

Result<> FetchLoop::run() {
  if (!epoll_) return fail_errno(errno, "making an epoll");
  epoll_event event{EPOLLIN, {nullptr}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, batch_.stop_fd, &event);
  for (;;) {
    now_ = std::chrono::steady_clock::now();
    if (batch_.stop.stop_requested()) break;
    TRY(look_at_clock());
    TRY(start_pieces());
    if (is_done()) return {};
    TRY(wait());
  }
  for (auto& exchange : exchanges_) {  // what is in buffers is gone on from another time
    Piece& piece = exchange->piece;
    if (piece.task && !piece.is_void()) static_cast<void>(piece.flush());
  }
  return fail(Code::cancelled, "stopped");
}

bool FetchLoop::is_done() const {
  return large_active_ + small_active_ == 0 && ready_.empty() && delayed_.empty() &&
         batch_.next_large >= batch_.large.size() && batch_.next_small >= batch_.small.size();
}

// Of what may be under way, this thread's part; the first threads have the odd ones. Never nothing:
// a piece that is to be tried again belongs to its thread, and no other would begin it.
size_t FetchLoop::share(const Pace& pace) const {
  size_t limit = pace.limit();
  size_t part = limit / batch_.threads + (number_ < limit % batch_.threads ? 1 : 0);
  return std::max<size_t>(part, 1);
}

Result<> FetchLoop::start_pieces() {
  size_t large_share = share(batch_.large_pace), small_share = share(batch_.small_pace);
  while (large_active_ < large_share && TRY(start_next(true))) {
  }
  while (small_active_ < small_share && TRY(start_next(false))) {
  }
  return {};
}

std::optional<Piece> FetchLoop::next_piece(bool is_large) {
  auto found = std::find_if(ready_.begin(), ready_.end(),
                            [&](const Piece& piece) { return piece.is_large() == is_large; });
  if (found != ready_.end()) {
    Piece piece = std::move(*found);
    ready_.erase(found);
    return piece;
  }
  auto& next = is_large ? batch_.next_large : batch_.next_small;
  auto& queue = is_large ? batch_.large : batch_.small;
  if (next >= queue.size()) return std::nullopt;  // keeps it from growing for ever
  size_t number = next++;
  if (number >= queue.size()) return std::nullopt;
  const Fetch& fetch = batch_.fetches[queue[number]];
  Piece piece;
  Way way = is_large ? batch_.way : Way::buffered;  // small ones have no buffer to write from
  piece.task = std::make_shared<Task>(fetch, batch_.options, way, batch_.stop, batch_.md5s);
  piece.end = fetch.size;
  return piece;
}

Result<bool> FetchLoop::start_next(bool is_large) {
  auto piece = next_piece(is_large);
  if (!piece) return false;
  if (piece->is_void()) return true;
  if (!piece->task->is_open()) {
    auto opened = piece->task->open();
    if (!opened && opened.error().code == Code::unavailable) {
      delayed_.push_back({now_ + kBusyPause, std::move(*piece)});
      return true;
    }
    if (!opened) return Failure(at(*piece, opened.error()));
    if (piece->task->take_what_is_there()) return true;
    piece->reached = piece->written = piece->tried_from = piece->task->kept();
  }
  TRY(put_to_work(std::move(*piece)));
  return true;
}

Result<> FetchLoop::put_to_work(Piece piece) {
  ++(piece.is_large() ? large_active_ : small_active_);
  give_buffer(piece);
  if (idle_.empty()) return connect(std::move(piece));
  Exchange& exchange = *idle_.back();
  idle_.pop_back();
  exchange.piece = std::move(piece);
  auto begun = begin(exchange);
  if (!begun) return break_off(exchange, begun.error());
  return {};
}

Result<> FetchLoop::connect(Piece piece) {
  const addrinfo* address = batch_.addresses.get();
  for (size_t i = 0; i < next_address_; ++i) {
    address = address->ai_next != nullptr ? address->ai_next : batch_.addresses.get();
  }
  auto link = Link::open(*address, batch_.endpoint, batch_.tls);
  if (!link) {
    drop(piece);
    return retry(std::move(piece), link.error());
  }
  exchanges_.push_back(std::make_unique<Exchange>(std::move(*link)));
  Exchange& exchange = *exchanges_.back();
  exchange.piece = std::move(piece);
  exchange.moved = now_;
  watch(exchange, EPOLLOUT);
  return {};
}

void FetchLoop::give_buffer(Piece& piece) {
  if (!piece.is_large() || piece.buffer) return;
  if (buffers_.empty()) {
    piece.buffer = make_buffer(kBufferBytes);
  } else {
    piece.buffer = std::move(buffers_.back());
    buffers_.pop_back();
  }
}

// The piece is no longer under way.
void FetchLoop::drop(Piece& piece) {
  --(piece.is_large() ? large_active_ : small_active_);
  if (piece.buffer) buffers_.push_back(std::move(piece.buffer));
}

Result<> FetchLoop::wait() {
  std::array<epoll_event, 64> events;
  Time until = next_look_;
  for (const Delayed& delayed : delayed_) until = std::min(until, delayed.when);
  auto left = std::chrono::ceil<milliseconds>(until - now_).count();
  int timeout = hashing_.empty() ? static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)) : 0;
  int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
  if (count < 0 && errno != EINTR) return fail_errno(errno, "waiting");
  now_ = std::chrono::steady_clock::now();
  size_t ready = static_cast<size_t>(std::max(count, 0));
  bool has_moved = TRY(handle(std::span(events).first(ready)));
  // As long as others fill their buffers, those that are full wait for them: more lanes.
  if (!has_moved || hashing_.size() >= objects::md5_lanes()) TRY(end_hashing());
  std::erase_if(exchanges_, [](const auto& exchange) { return exchange->is_dead; });
  return {};
}

Result<bool> FetchLoop::handle(std::span<const epoll_event> events) {
  bool has_moved = false;
  for (const epoll_event& event : events) {
    auto* exchange = static_cast<Exchange*>(event.data.ptr);
    if (exchange == nullptr || exchange->is_dead || exchange->piece.is_hashing) continue;
    has_moved = true;
    auto advanced = advance(*exchange);
    if (!advanced) TRY(break_off(*exchange, advanced.error()));
    if (!idle_.empty()) TRY(start_pieces());
  }
  return has_moved;
}

// The first that waits hashes all of them.
Result<> FetchLoop::end_hashing() {
  for (Exchange* exchange : std::exchange(hashing_, {})) {
    auto gone_on = go_on(*exchange);
    if (!gone_on) TRY(break_off(*exchange, gone_on.error()));
    if (!idle_.empty()) TRY(start_pieces());
  }
  return {};
}

// Delayed pieces whose time has come, and connections on which nothing moves.
Result<> FetchLoop::look_at_clock() {
  for (size_t i = 0; i < delayed_.size();) {
    if (delayed_[i].when > now_) {
      ++i;
      continue;
    }
    ready_.push_back(std::move(delayed_[i].piece));
    std::swap(delayed_[i], delayed_.back());
    delayed_.pop_back();
  }
  if (now_ < next_look_) return {};
  milliseconds stall = batch_.options.stall;
  next_look_ = now_ + std::clamp(stall / 4, milliseconds(1), milliseconds(1000));
  for (size_t i = 0; i < exchanges_.size(); ++i) {  // break_off() may add some
    Exchange& exchange = *exchanges_[i];
    if (exchange.is_dead || !exchange.piece.task || now_ - exchange.moved < stall) continue;
    Error error{Code::timeout, fmt::format("no byte for {} ms", stall.count())};
    TRY(break_off(exchange, std::move(error)));
  }
  std::erase_if(exchanges_, [](const auto& exchange) { return exchange->is_dead; });
  return {};
}

Result<> FetchLoop::break_off(Exchange& exchange, Error error) {
  bool is_stale = exchange.is_reused && exchange.head.empty() &&
                  (exchange.phase == Phase::sending || exchange.phase == Phase::head) &&
                  error.code == Code::unavailable;
  // One of several addresses may be down.
  if (exchange.phase == Phase::connecting) ++next_address_;
  close(exchange);
  if (!exchange.piece.task) return {};
  Piece piece = std::move(exchange.piece);
  exchange.piece = {};
  if (!piece.is_void()) {
    if (auto flushed = piece.flush(); !flushed) return Failure(at(piece, flushed.error()));
  }
  drop(piece);
  if (piece.is_void()) return {};
  if (is_stale) {  // the server had closed an idle connection: that is its right
    ready_.push_back(std::move(piece));
    return {};
  }
  return retry(std::move(piece), std::move(error));
}

Result<> FetchLoop::retry(Piece piece, Error error) {
  const FetchOptions& options = batch_.options;
  if (!is_retryable(error.code)) {
    if (error.code == Code::conflict || error.code == Code::not_found) piece.task->abandon();
    return Failure(at(piece, error));
  }
  if (piece.reached >= piece.tried_from + kBufferBytes || piece.reached < piece.tried_from) {
    piece.tries = 0;
    piece.tried_from = piece.reached;
  }
  if (piece.task->must_restart()) {
    auto restarted = piece.task->restart(at(piece, error));
    if (!restarted) return restarted;
    Piece whole;
    whole.task = piece.task;
    whole.end = piece.task->size();
    whole.generation = piece.task->generation();
    piece = std::move(whole);
  } else if (++piece.tries >= options.max_tries) {
    error.message += fmt::format(" (tried {} times)", piece.tries);
    return Failure(at(piece, error));
  }
  auto limit = options.first_pause * (1 << std::min(std::max(piece.tries - 1, 0), 10));
  limit = std::min<milliseconds>(limit,
                                 std::max<milliseconds>(options.first_pause, milliseconds(5000)));
  std::uniform_int_distribution<int64_t> jitter(limit.count() / 2, limit.count());
  delayed_.push_back({now_ + milliseconds(jitter(random_)), std::move(piece)});
  return {};
}

Error FetchLoop::at(const Piece& piece, const Error& error) const {
  if (error.code == Code::cancelled) return error;
  return {error.code, fmt::format("{} at byte {} of {}: {}", piece.task->fetch().object.text(),
                                  piece.reached, piece.task->size(), error.message)};
}

}  // namespace trainyard::transfer
