// SPDX-License-Identifier: Apache-2.0
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/text.hpp"
#include "transfer/fetch_loop.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kMaxHeadBytes = 64 << 10;
constexpr size_t kMaxRefusalBytes = 64 << 10;
constexpr size_t kHeadReadBytes = 16 << 10;  // of a body that is to go into a buffer of its own
constexpr size_t kMovingBytes = 4096;        // a byte a minute is no transfer
constexpr size_t kFarLimit = 8;              // what a longer round trip is worth from the start
constexpr int kReadsInARow = 16;             // then others have their turn

}  // namespace

void FetchLoop::watch(Exchange& exchange, uint32_t events) {
  if (exchange.watched == events) return;
  epoll_event event{events, {&exchange}};
  int how = exchange.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  ::epoll_ctl(epoll_.get(), how, exchange.link.fd(), &event);
  exchange.watched = events;
}

// The object stays until all events of this round were looked at.
void FetchLoop::close(Exchange& exchange) {
  exchange.is_dead = true;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, exchange.link.fd(), nullptr);
  std::erase(idle_, &exchange);
  std::erase(hashing_, &exchange);
}

Result<> FetchLoop::advance(Exchange& exchange) {
  if (exchange.phase == Phase::idle) {  // it may only end now
    close(exchange);
    return {};
  }
  if (exchange.phase == Phase::connecting) {
    uint32_t events = TRY(exchange.link.establish());
    if (events != 0) {
      watch(exchange, events);
      return {};
    }
    exchange.moved = now_;
    if (exchange.link.round_trip_time() > batch_.options.ranges_rtt) {
      batch_.large_pace.raise_to(kFarLimit);
    }
    return begin(exchange);
  }
  if (exchange.piece.is_void()) return fail(Code::unavailable, "begun anew");
  if (exchange.phase == Phase::sending && !TRY(send(exchange))) return {};
  for (int i = 0; i < kReadsInARow; ++i) {
    if (!TRY(receive(exchange))) return {};
    if (exchange.is_dead || exchange.phase == Phase::idle) return {};
    // A request that was sent a moment ago.
    if (exchange.phase == Phase::head && exchange.head.empty()) return {};
    if (exchange.phase == Phase::sending) return {};
  }
  return {};
}

// Sends the request that the piece needs.
Result<> FetchLoop::begin(Exchange& exchange) {
  Piece& piece = exchange.piece;
  if (piece.is_void()) {
    drop(piece);
    piece = {};
    make_idle(exchange, true);
    return {};
  }
  TRY(split(piece, exchange.link));
  exchange.is_head = piece.wants_head();
  if (piece.task->is_in_ranges() && !exchange.is_head && piece.reached == piece.begin) {
    piece.digest = piece.task->range_digest();
  }
  std::string_view method = exchange.is_head ? "HEAD" : "GET";
  std::string path = target_of(batch_.access, piece.task->fetch().object).path;
  const std::string& host = batch_.endpoint.host_header;
  exchange.request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}{}\r\n", method, path, host,
                  signer_.sign(method, host, path, SystemClock().now()), piece.request_lines());
  exchange.sent = 0;
  exchange.head.clear();
  exchange.phase = Phase::sending;
  exchange.moved = now_;
  TRY(send(exchange));
  return {};
}

// A single large object far away comes in ranges.
Result<> FetchLoop::split(Piece& piece, const Link& link) {
  const FetchOptions& options = batch_.options;
  Task& task = *piece.task;
  bool is_whole = piece.end - piece.begin == task.size() && piece.reached == 0;
  if (!is_whole || task.is_in_ranges() || task.size() <= options.ranges_from ||
      piece.generation > 0 || !batch_.has_ranges ||
      batch_.large.size() >= 2 * batch_.large_pace.limit() ||
      link.round_trip_time() <= options.ranges_rtt) {
    return {};
  }
  size_t count = (task.size() + options.range_bytes - 1) / options.range_bytes;
  TRY(task.split(count));
  if (!task.is_in_ranges()) return {};
  for (size_t i = 1; i < count; ++i) {
    Piece range;
    range.task = piece.task;
    range.index = i;
    range.begin = range.reached = range.written = range.tried_from = i * options.range_bytes;
    range.end = std::min(task.size(), range.begin + options.range_bytes);
    ready_.push_back(std::move(range));
  }
  bool was_large = piece.is_large();
  piece.end = std::min(task.size(), options.range_bytes);
  if (was_large && !piece.is_large()) {
    --large_active_;
    ++small_active_;
  }
  return {};
}

Result<bool> FetchLoop::send(Exchange& exchange) {
  while (exchange.sent < exchange.request.size()) {
    auto moved = TRY(exchange.link.write(std::string_view(exchange.request).substr(exchange.sent)));
    exchange.sent += moved.count;
    if (moved.is_ended) return fail(Code::unavailable, "the server closed the connection");
    if (moved.count > 0) continue;
    watch(exchange, moved.waits_for);
    return false;
  }
  exchange.phase = Phase::head;
  watch(exchange, EPOLLIN);
  return true;
}

Result<bool> FetchLoop::receive(Exchange& exchange) {
  Piece& piece = exchange.piece;
  bool is_direct = exchange.phase == Phase::body && piece.buffer && exchange.body.skip == 0;
  std::span<char> space(scratch_);
  if (is_direct) {
    space = piece.space(exchange.body.take);
  } else if (piece.buffer) {
    space = space.first(kHeadReadBytes);
  }
  Moved moved = TRY(exchange.link.read(space));
  if (moved.count == 0 && !moved.is_ended) {
    watch(exchange, moved.waits_for);
    return false;
  }
  exchange.came += moved.count;
  if (exchange.came >= kMovingBytes) {
    exchange.moved = now_;
    exchange.came = 0;
  }
  if (moved.is_ended && exchange.phase == Phase::refusal) {
    TRY(take_refusal(exchange, "", true));
    return true;
  }
  if (moved.is_ended) {
    bool is_early = exchange.phase != Phase::body;
    return fail(Code::unavailable, "the server closed the connection {}",
                is_early ? "without an answer" : "in the middle");
  }
  std::string_view bytes(space.data(), moved.count);
  if (exchange.phase == Phase::head) {
    TRY(take_head(exchange, bytes));
  } else if (exchange.phase == Phase::refusal) {
    TRY(take_refusal(exchange, bytes, false));
  } else if (is_direct) {
    TRY(piece.received(bytes));
    exchange.body.take -= bytes.size();
    batch_.large_pace.add(bytes.size(), now_);
    if (piece.is_hashing) {
      hashing_.push_back(&exchange);
      return false;
    }
    if (exchange.body.take == 0) TRY(end_answer(exchange));
  } else {
    TRY(take_body(exchange, bytes));
  }
  return true;
}

Result<> FetchLoop::take_head(Exchange& exchange, std::string_view bytes) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  if (exchange.head.empty()) {  // nearly always it comes in one piece
    size_t end = bytes.find(kEnd);
    if (end != bytes.npos) {
      exchange.answer = TRY(parse_answer(bytes.substr(0, end + kEnd.size())));
      return take_answer(exchange, bytes.substr(end + kEnd.size()));
    }
  }
  exchange.head += bytes;
  size_t end = exchange.head.find(kEnd);
  if (end == std::string::npos) {
    if (exchange.head.size() <= kMaxHeadBytes) return {};
    return fail(Code::unavailable, "the head of the server's answer is longer than 64 KiB");
  }
  std::string head = std::move(exchange.head);
  exchange.head = "…";  // not empty: something came
  exchange.answer = TRY(parse_answer(std::string_view(head).substr(0, end + kEnd.size())));
  return take_answer(exchange, std::string_view(head).substr(end + kEnd.size()));
}

Result<> FetchLoop::take_answer(Exchange& exchange, std::string_view rest) {
  Answer& answer = exchange.answer;
  if (answer.status >= 300) {
    exchange.phase = Phase::refusal;
    exchange.head.clear();
    return take_refusal(exchange, rest, exchange.is_head);
  }
  exchange.phase = Phase::body;
  auto body = exchange.piece.on_answer(answer, exchange.is_head);
  if (!body && answer.status == 200 && exchange.piece.end < exchange.piece.task->size()) {
    batch_.has_ranges = false;
  }
  exchange.body = TRY(std::move(body));
  if (exchange.piece.task->lane() != nullptr) batch_.large_pace.raise_to(objects::md5_lanes());
  if (!answer.content_length && !exchange.is_head) answer.is_kept_alive = false;
  now_ = std::chrono::steady_clock::now();  // kept bytes may have been read
  exchange.moved = now_;
  if (exchange.body.take == 0) {
    if (!rest.empty()) answer.is_kept_alive = false;
    return end_answer(exchange);
  }
  if (rest.empty()) return {};
  return take_body(exchange, rest);
}

Result<> FetchLoop::take_body(Exchange& exchange, std::string_view bytes) {
  Piece& piece = exchange.piece;
  Piece::Body& body = exchange.body;
  size_t skipped = std::min<uint64_t>(body.skip, bytes.size());
  bytes.remove_prefix(skipped);
  body.skip -= skipped;
  if (bytes.size() > body.take) {  // bytes that nobody asked for
    exchange.answer.is_kept_alive = false;
    bytes = bytes.substr(0, body.take);
  }
  body.take -= bytes.size();
  while (!bytes.empty()) {
    std::string_view taken = bytes;
    if (piece.buffer) {
      std::span<char> space = piece.space(bytes.size());
      std::memcpy(space.data(), bytes.data(), space.size());
      taken = {space.data(), space.size()};
    }
    TRY(piece.received(taken));
    if (piece.is_hashing) TRY(piece.flush());
    bytes.remove_prefix(taken.size());
  }
  return body.take == 0 ? end_answer(exchange) : Result<>();
}

Result<> FetchLoop::take_refusal(Exchange& exchange, std::string_view bytes, bool is_ended) {
  const Answer& answer = exchange.answer;
  exchange.head += bytes.substr(0, kMaxRefusalBytes - exchange.head.size());
  uint64_t length =
      std::min<uint64_t>(answer.content_length.value_or(kMaxRefusalBytes), kMaxRefusalBytes);
  if (!is_ended && exchange.head.size() < length) return {};
  Error error = error_of(answer, exchange.head);
  Piece& piece = exchange.piece;
  if (answer.status == 503 || answer.status == 429) {
    (piece.is_large() ? batch_.large_pace : batch_.small_pace).slow_down();
  }
  bool is_own_etag = piece.task->fetch().etag.empty();
  bool is_changed = answer.status == 412 || answer.status == 416;
  if (is_changed && is_own_etag) return piece.task->restart_because(error.message);
  bool has_no_head = exchange.is_head && error.code == Code::invalid;
  if (has_no_head && piece.task->is_in_ranges()) {
    batch_.has_ranges = false;
    return piece.task->restart_because(error.message);
  }
  if (has_no_head) {
    TRY(piece.task->forget_kept());  // no HEAD here: then from the beginning
    piece.reached = piece.written = piece.tried_from = 0;
    error.code = Code::unavailable;
  }
  return Failure(std::move(error));
}

// After its buffer was full.
Result<> FetchLoop::go_on(Exchange& exchange) {
  TRY(exchange.piece.flush());
  return exchange.body.take == 0 ? end_answer(exchange) : advance(exchange);
}

// All bytes of an answer came.
Result<> FetchLoop::end_answer(Exchange& exchange) {
  Piece& piece = exchange.piece;
  if (exchange.is_head) {
    if (piece.reached == piece.end && !piece.task->is_in_ranges()) return end_piece(exchange);
    if (!exchange.answer.is_kept_alive) {
      return fail(Code::unavailable, "the server closed the connection after HEAD");
    }
    exchange.is_reused = true;
    return begin(exchange);
  }
  if (piece.reached < piece.end) {
    return fail(Code::unavailable, "the server sends less than it was asked for");
  }
  return end_piece(exchange);
}

Result<> FetchLoop::end_piece(Exchange& exchange) {
  Piece& piece = exchange.piece;
  TRY(piece.flush());
  Task& task = *piece.task;
  bool is_last = !task.is_in_ranges() ||
                 task.end_range(piece.index, piece.digest.get(), piece.end - piece.begin);
  if (is_last) TRY(task.finish());
  if (!piece.is_large()) batch_.small_pace.add(1, now_);
  drop(piece);
  exchange.piece = {};
  make_idle(exchange, exchange.answer.is_kept_alive);
  return {};
}

void FetchLoop::make_idle(Exchange& exchange, bool is_kept_alive) {
  if (!is_kept_alive || exchange.is_dead) {
    close(exchange);
    return;
  }
  exchange.phase = Phase::idle;
  exchange.is_reused = true;
  idle_.push_back(&exchange);
}

}  // namespace trainyard::transfer
