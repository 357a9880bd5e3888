// SPDX-License-Identifier: Apache-2.0
#include "transfer/range_stream.hpp"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kHeadBytes = 64 << 10;
constexpr timeval kTick{0, 500'000};  // how often a stop is looked for
constexpr timeval kConnectTimeout{10, 0};
constexpr std::chrono::seconds kHeadTimeout{60};
constexpr std::chrono::seconds kStallTimeout{60};

using Steady = std::chrono::steady_clock;

bool ends_of_time() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

// libcurl would go through a proxy from the environment, but for loopback.
bool is_direct(std::string_view host) {
  if (host.starts_with("127.") || host == "localhost") return true;
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    if (std::getenv(name) != nullptr) return false;
  }
  return true;
}

}  // namespace

RangeStream::RangeStream(S3Access access, std::stop_token stop)
    : access_(std::move(access)), stop_(std::move(stop)), buffer_(kPieceBytes + kHeadBytes) {
  while (access_.endpoint.ends_with('/')) access_.endpoint.pop_back();
}

bool RangeStream::connect() {
  std::string_view rest = access_.endpoint;
  if (!rest.starts_with("http://") || !access_.is_path_style) return false;
  rest.remove_prefix(7);
  rest = rest.substr(0, rest.find('/'));
  size_t colon = rest.rfind(':');
  if (rest.empty() || rest.front() == '[') return false;
  std::string host(rest.substr(0, colon));
  std::string port(colon == std::string_view::npos ? "80" : rest.substr(colon + 1));
  if (!is_direct(host)) return false;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return false;
  for (addrinfo* at = found; at != nullptr && !socket_; at = at->ai_next) {
    Fd made(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // Bounds connect(2), too.
    ::setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectTimeout, sizeof kConnectTimeout);
    ::setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &kTick, sizeof kTick);
    int yes = 1;
    ::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::connect(made.get(), at->ai_addr, at->ai_addrlen) == 0) socket_ = std::move(made);
  }
  ::freeaddrinfo(found);
  return static_cast<bool>(socket_);
}

bool RangeStream::ask(const S3Uri& object, const std::string& etag, uint64_t offset,
                      uint64_t length) {
  http::Headers headers;
  headers.set("Range", fmt::format("bytes={}-{}", offset, offset + length - 1));
  if (!etag.empty()) headers.set("If-Match", etag);
  std::string text = "GET " + sign_request(access_, "GET", object, "", headers) + " HTTP/1.1\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  text += "\r\n";
  received_ = 0;
  return ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

std::optional<size_t> RangeStream::take_head(uint64_t offset, uint64_t length) {
  auto deadline = Steady::now() + kHeadTimeout;
  size_t end = std::string_view::npos;
  while (end == std::string_view::npos) {
    if (received_ >= kHeadBytes || stop_.stop_requested() || Steady::now() > deadline) {
      return std::nullopt;
    }
    ssize_t count = ::recv(socket_.get(), buffer_.data() + received_, kHeadBytes - received_, 0);
    if (count < 0 && ends_of_time()) continue;
    if (count <= 0) return std::nullopt;
    received_ += static_cast<size_t>(count);
    end = std::string_view(buffer_.data(), received_).find("\r\n\r\n");
  }
  std::string_view head(buffer_.data(), end);
  if (!head.starts_with("HTTP/1.1 206")) return std::nullopt;
  bool has_length = false;
  bool has_range = false;
  for (std::string_view line : split(head, '\n')) {
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view name = trim(line.substr(0, colon));
    std::string_view value = trim(line.substr(colon + 1));
    if (equal_ignoring_case(name, "Transfer-Encoding")) return std::nullopt;
    if (equal_ignoring_case(name, "Content-Length")) has_length = parse_unsigned(value) == length;
    if (equal_ignoring_case(name, "Content-Range")) {
      has_range = value.starts_with(fmt::format("bytes {}-{}/", offset, offset + length - 1));
    }
  }
  if (!has_length || !has_range) return std::nullopt;
  return end + 4;
}

Result<uint64_t> RangeStream::take_body(size_t head, uint64_t length, const OnPiece& on_piece) {
  received_ -= head;
  std::memmove(buffer_.data(), buffer_.data() + head, received_);
  uint64_t taken = 0;
  auto deadline = Steady::now() + kStallTimeout;
  while (taken < length) {
    // Up to the next border of a piece, or the end.
    uint64_t border = std::min(length, (taken / kPieceBytes + 1) * kPieceBytes);
    size_t wanted = static_cast<size_t>(border - taken);
    bool is_slow = false;
    if (received_ < wanted) {
      ssize_t count =
          ::recv(socket_.get(), buffer_.data() + received_, wanted - received_, MSG_WAITALL);
      if (count == 0 || (count < 0 && !ends_of_time())) return taken;
      if (stop_.stop_requested()) return fail(Code::cancelled, "stopped");
      if (count > 0) deadline = Steady::now() + kStallTimeout;
      if (count < 0 && Steady::now() > deadline) return taken;
      is_slow = count < static_cast<ssize_t>(wanted - received_);
      received_ += count > 0 ? static_cast<size_t>(count) : 0;
    }
    size_t piece = std::min(received_, wanted);
    if (piece < wanted && (!is_slow || piece == 0)) continue;
    TRY(on_piece({buffer_.data(), piece}));
    taken += piece;
    received_ -= piece;
    std::memmove(buffer_.data(), buffer_.data() + piece, received_);
  }
  return taken;
}

Result<uint64_t> RangeStream::read(const S3Uri& object, const std::string& etag, uint64_t offset,
                                   uint64_t length, const OnPiece& on_piece) {
  if (length == 0) return 0;
  // A connection kept from before may have been closed by the server meanwhile.
  std::optional<size_t> head;
  for (bool was_kept = true; was_kept && !head;) {
    was_kept = static_cast<bool>(socket_);
    if (!was_kept && !connect()) return 0;
    if (ask(object, etag, offset, length)) head = take_head(offset, length);
    if (!head) socket_.reset();
    if (stop_.stop_requested()) return fail(Code::cancelled, "stopped");
  }
  if (!head) return 0;
  auto taken = take_body(*head, length, on_piece);
  if (!taken || *taken < length) socket_.reset();  // the rest of the answer is not wanted
  return taken;
}

}  // namespace trainyard::transfer
