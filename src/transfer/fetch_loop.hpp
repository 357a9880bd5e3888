// SPDX-License-Identifier: Apache-2.0
// One thread of a fetch: its connections, its pieces, its timers. Internal to transfer/.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <deque>
#include <random>
#include <span>
#include <vector>

#include "aws/get_signer.hpp"
#include "base/guarded.hpp"
#include "transfer/fetch_piece.hpp"
#include "transfer/link.hpp"
#include "transfer/pace.hpp"

namespace trainyard::transfer {

// What the threads of one fetch_all() share.
struct Batch {
  const S3Access& access;
  std::span<const Fetch> fetches;
  const FetchOptions& options;
  Way way;               // of all large fetches
  std::stop_token stop;  // of the caller, or because another thread met an error
  int stop_fd;           // readable once `stop` was requested
  size_t threads;
  Endpoint endpoint;
  Addresses addresses;
  TlsContext tls;             // null: plain
  std::vector<size_t> large;  // fetches whose bytes matter, largest first
  std::vector<size_t> small;  // those whose number matters
  std::atomic<size_t> next_large = 0;
  std::atomic<size_t> next_small = 0;
  std::atomic<bool> has_ranges = true;  // false once the server was seen to ignore them
  Pace large_pace;
  Pace small_pace;
  objects::Md5Pool md5s{1};  // of all threads
};

// A connection and the request that is under way on it.
struct Exchange {
  enum class Phase { connecting, idle, sending, head, body, refusal };

  explicit Exchange(Link connecting) : link(std::move(connecting)) {}

  Link link;
  Phase phase = Phase::connecting;
  Piece piece;  // without a task: idle
  bool is_head = false;
  bool is_reused = false;  // the connection has served before
  bool is_dead = false;
  uint32_t watched = 0;  // events of epoll
  std::string request;
  size_t sent = 0;
  std::string head;  // while it is incomplete; then the body of a refusal
  Answer answer;
  Piece::Body body;                             // what is still to come
  std::chrono::steady_clock::time_point moved;  // when enough came to call it moving
  size_t came = 0;                              // bytes since then
};

class FetchLoop {
 public:
  FetchLoop(Batch& batch, size_t number);
  ~FetchLoop();
  FetchLoop(const FetchLoop&) = delete;
  FetchLoop& operator=(const FetchLoop&) = delete;
  // Until nothing is left to do, or an error.
  Result<> run();

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Phase = Exchange::Phase;

  // What comes next (fetch_loop.cpp).
  Result<> start_pieces();
  Result<bool> start_next(bool is_large);
  std::optional<Piece> next_piece(bool is_large);
  size_t share(const Pace& pace) const;
  Result<> put_to_work(Piece piece);
  Result<> connect(Piece piece);
  Result<> wait();
  Result<bool> handle(std::span<const epoll_event> events);  // false: nothing moved
  Result<> end_hashing();
  Result<> look_at_clock();
  bool is_done() const;

  // A piece that failed: later again, or the error that ends it all.
  Result<> retry(Piece piece, Error error);
  Result<> break_off(Exchange& exchange, Error error);
  Error at(const Piece& piece, const Error& error) const;

  // One exchange (fetch_exchange.cpp).
  Result<> advance(Exchange& exchange);
  Result<> begin(Exchange& exchange);
  Result<bool> send(Exchange& exchange);     // false: wait
  Result<bool> receive(Exchange& exchange);  // false: wait
  Result<> take_head(Exchange& exchange, std::string_view bytes);
  Result<> take_answer(Exchange& exchange, std::string_view rest);
  Result<> take_body(Exchange& exchange, std::string_view bytes);
  Result<> take_refusal(Exchange& exchange, std::string_view bytes, bool is_ended);
  Result<> end_answer(Exchange& exchange);
  Result<> go_on(Exchange& exchange);
  Result<> end_piece(Exchange& exchange);
  Result<> split(Piece& piece, const Link& link);
  void watch(Exchange& exchange, uint32_t events);
  void close(Exchange& exchange);
  void make_idle(Exchange& exchange, bool is_kept_alive);
  void give_buffer(Piece& piece);
  void drop(Piece& piece);

  Batch& batch_;
  size_t number_;
  Fd epoll_;
  aws::GetSigner signer_;
  std::minstd_rand random_{std::random_device{}()};
  std::vector<char> scratch_;
  std::vector<Buffer> buffers_;  // free ones
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> idle_;
  std::vector<Exchange*> hashing_;  // their buffers are full: they read no further
  std::deque<Piece> ready_;
  struct Delayed {
    Time when;
    Piece piece;
  };
  std::vector<Delayed> delayed_;
  size_t large_active_ = 0;
  size_t small_active_ = 0;
  size_t next_address_ = 0;
  Time now_{};
  Time next_look_{};
};

}  // namespace trainyard::transfer
