// SPDX-License-Identifier: Apache-2.0
#include "transfer/range_stream.hpp"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace trainyard::transfer {

namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kHeadBytes = 64 << 10;
constexpr std::chrono::milliseconds kTick{200};         // how often a stop is looked for
constexpr std::chrono::milliseconds kPieceTimeout{50};  // then less than a piece is handed out
constexpr std::chrono::seconds kConnectTimeout{10};
constexpr std::chrono::seconds kHeadTimeout{60};
constexpr std::chrono::seconds kStallTimeout{60};

using Steady = std::chrono::steady_clock;

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT);

// libcurl would go through a proxy from the environment, but for loopback.
bool is_direct(const Endpoint& endpoint) {
  if (endpoint.host.starts_with("127.") || endpoint.host == "localhost") return true;
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    if (std::getenv(name) != nullptr) return false;
  }
  return true;
}

}  // namespace

RangeStream::RangeStream(S3Access access, std::stop_token stop)
    : access_(std::move(access)), stop_(std::move(stop)) {
  while (access_.endpoint.ends_with('/')) access_.endpoint.pop_back();
}

bool RangeStream::wait(uint32_t events, std::chrono::milliseconds time) const {
  pollfd waited{link_->fd(), static_cast<short>(events), 0};
  return ::poll(&waited, 1, static_cast<int>(time.count())) > 0;
}

bool RangeStream::establish() {
  auto deadline = Steady::now() + kConnectTimeout;
  while (!stop_.stop_requested() && Steady::now() < deadline) {
    auto events = link_->establish();
    if (!events) return false;
    if (*events == 0) return true;
    wait(*events, kTick);
  }
  return false;
}

bool RangeStream::connect(const Endpoint& endpoint) {
  if (!is_direct(endpoint)) return false;
  if (endpoint.is_tls && !context_) {
    auto context = make_tls_context(access_.ca_file);
    if (!context) return false;
    context_ = *std::move(context);
  }
  auto addresses = look_up(endpoint);
  if (!addresses) return false;
  for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
    auto link = Link::open(*at, endpoint, endpoint.is_tls ? context_ : TlsContext());
    if (!link) continue;
    link_.emplace(*std::move(link));
    connected_to_ = endpoint.host_header;
    if (establish()) return true;
    link_.reset();
  }
  return false;
}

bool RangeStream::send(std::string_view request) {
  auto deadline = Steady::now() + kStallTimeout;
  while (!request.empty()) {
    auto moved = link_->write(request);
    if (!moved || moved->is_ended || stop_.stop_requested() || Steady::now() > deadline) {
      return false;
    }
    request.remove_prefix(moved->count);
    if (moved->count == 0) wait(moved->waits_for, kTick);
  }
  return true;
}

std::optional<Answer> RangeStream::take_head() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  buffer_.resize(std::max(buffer_.size(), kHeadBytes));
  received_ = 0;
  auto deadline = Steady::now() + kHeadTimeout;
  size_t end = std::string_view::npos;
  while (end == std::string_view::npos) {
    if (received_ >= kHeadBytes || stop_.stop_requested() || Steady::now() > deadline) {
      return std::nullopt;
    }
    auto moved = link_->read(std::span(buffer_).subspan(received_, kHeadBytes - received_));
    if (!moved || moved->is_ended) return std::nullopt;
    if (moved->count == 0) wait(moved->waits_for, kTick);
    size_t looked_at = received_ - std::min<size_t>(received_, kEnd.size() - 1);
    received_ += moved->count;
    end = std::string_view(buffer_.data(), received_).find(kEnd, looked_at);
  }
  size_t head = end + kEnd.size();
  auto answer = parse_answer({buffer_.data(), head});
  if (!answer) return std::nullopt;
  received_ -= head;
  std::memmove(buffer_.data(), buffer_.data() + head, received_);
  return *std::move(answer);
}

template <class IsGood>
Result<std::optional<Answer>> RangeStream::ask(const S3Uri& object, const http::Headers& headers,
                                               const IsGood& is_good) {
  auto endpoint = endpoint_of(access_, object.bucket);
  if (!endpoint) return std::nullopt;
  if (link_ && connected_to_ != endpoint->host_header) link_.reset();
  http::Headers all = headers;
  std::string text = "GET " + sign_request(access_, "GET", object, "", all) + " HTTP/1.1\r\n";
  for (const auto& [name, value] : all) text += name + ": " + value + "\r\n";
  text += "\r\n";
  std::optional<Answer> answer;
  // A connection kept from before may have been closed by the server meanwhile.
  for (bool was_kept = true; was_kept && !answer;) {
    was_kept = link_.has_value();
    if (was_kept || connect(*endpoint)) {
      if (send(text)) answer = take_head();
      if (!answer) link_.reset();
    }
    if (stop_.stop_requested()) return fail(Code::cancelled, "stopped");
  }
  if (!answer) return std::nullopt;
  if (answer->is_chunked || !answer->content_length || !is_good(*answer)) {
    link_.reset();  // the answer is not read
    return std::nullopt;
  }
  length_ = *answer->content_length;
  return answer;
}

Result<std::optional<Answer>> RangeStream::open(const S3Uri& object, const std::string& etag,
                                                std::optional<uint64_t> size) {
  http::Headers headers;
  headers.set("x-amz-checksum-mode", "ENABLED");
  if (!etag.empty()) headers.set("If-Match", etag);
  auto answer = TRY(ask(object, headers, [&](const Answer& got) {
    return got.status == 200 && got.content_length == size.value_or(*got.content_length);
  }));
  return answer;
}

std::optional<size_t> RangeStream::receive(size_t wanted) {
  auto deadline = Steady::now() + kStallTimeout;
  while (received_ < wanted) {
    auto moved = link_->read(std::span(buffer_).subspan(received_, wanted - received_));
    if (!moved || moved->is_ended) {
      link_.reset();
      return std::nullopt;
    }
    received_ += moved->count;
    if (moved->count > 0) continue;
    if (stop_.stop_requested()) break;
    if (wait(moved->waits_for, received_ > 0 ? kPieceTimeout : kTick)) continue;
    if (received_ > 0) break;
    if (Steady::now() < deadline) continue;
    link_.reset();
    return std::nullopt;
  }
  return std::min(received_, wanted);
}

Failure RangeStream::give_up(Error error) {
  link_.reset();
  return Failure(std::move(error));
}

Result<uint64_t> RangeStream::take(const OnPiece& on_piece) {
  return take_pieces(0, on_piece);
}

Result<uint64_t> RangeStream::take(const OnPiece& on_piece, const PageTaker& pages) {
  size_t with_head = received_;
  if (with_head >= length_ || !link_->is_plain()) return take_pieces(0, on_piece);
  if (with_head > 0) {
    auto done = on_piece({buffer_.data(), with_head});
    if (!done) return give_up(std::move(done).error());
    received_ = 0;
  }
  uint64_t taken = with_head;
  while (taken < length_ && link_) {
    auto pipe = pages.empty();
    if (!pipe) return take_pieces(taken, on_piece);
    fill(*pipe, length_ - taken);
    if (stop_.stop_requested()) return give_up({Code::cancelled, "stopped"});
    size_t count = pipe->size();
    if (count == 0) break;
    auto done = pages.take(*std::move(pipe));
    if (!done) return give_up(std::move(done).error());
    taken += count;
  }
  return taken;
}

void RangeStream::fill(PagePipe& pipe, uint64_t wanted) {
  auto deadline = Steady::now() + kStallTimeout;
  wanted = std::min<uint64_t>(wanted, kPieceBytes);
  bool is_waiting = false;  // bytes wait, and yet none moved: it is full
  while (pipe.size() < wanted && !stop_.stop_requested()) {
    auto moved = pipe.fill(*link_, static_cast<size_t>(wanted - pipe.size()));
    if (!moved || moved->is_ended) return link_.reset();
    if (moved->count > 0) {
      is_waiting = false;
      continue;
    }
    if (is_waiting && pipe.size() > 0) return;
    is_waiting = wait(EPOLLIN, pipe.size() > 0 ? kPieceTimeout : kTick);
    if (!is_waiting && pipe.size() > 0) return;
    if (!is_waiting && Steady::now() > deadline) return link_.reset();
  }
}

Result<uint64_t> RangeStream::take_pieces(uint64_t taken, const OnPiece& on_piece) {
  size_t most = std::max<size_t>(received_, std::min<uint64_t>(kPieceBytes, length_));
  buffer_.resize(std::max(buffer_.size(), most));
  while (taken < length_) {
    // Up to the next border of a piece, or the end.
    uint64_t border = std::min(length_, (taken / kPieceBytes + 1) * kPieceBytes);
    auto piece = receive(static_cast<size_t>(border - taken));
    if (!piece) return taken;
    if (stop_.stop_requested()) return give_up({Code::cancelled, "stopped"});
    auto done = on_piece({buffer_.data(), *piece});
    if (!done) return give_up(std::move(done).error());
    taken += *piece;
    received_ -= *piece;
    std::memmove(buffer_.data(), buffer_.data() + *piece, received_);
  }
  if (received_ > 0) link_.reset();  // bytes that nobody asked for
  return taken;
}

Result<uint64_t> RangeStream::read(const S3Uri& object, const std::string& etag, uint64_t offset,
                                   uint64_t length, const OnPiece& on_piece) {
  if (length == 0) return 0;
  uint64_t last = offset + length - 1;
  http::Headers headers;
  headers.set("Range", fmt::format("bytes={}-{}", offset, last));
  if (!etag.empty()) headers.set("If-Match", etag);
  auto answer = TRY(ask(object, headers, [&](const Answer& got) {
    return got.status == 206 && got.content_length == length && got.content_range &&
           got.content_range->first == offset && got.content_range->last == last;
  }));
  return answer ? take(on_piece) : 0;
}

}  // namespace trainyard::transfer
