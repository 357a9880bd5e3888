// SPDX-License-Identifier: Apache-2.0
#include "proxy/relay.hpp"

#include <vector>

namespace trainyard::proxy {

namespace {

constexpr size_t kBuffer = 64 << 10;

// One direction. `filled` bytes from `sent` on wait to be written.
class Flow {
 public:
  Flow(Stream& from, Stream& to) : from_(from), to_(to), buffer_(kBuffer) {}

  bool is_done() const { return is_finished_; }

  // Moves what can be moved now. True when something happened.
  Result<bool> move() {
    bool has_moved = false;
    if (sent_ == filled_ && !is_ended_) {
      Step step = TRY(from_.read(buffer_));
      filled_ = step.moved;
      sent_ = 0;
      is_ended_ = step.is_ended;
      read_waits_for_ = step.waits_for;
      has_moved = step.moved > 0 || step.is_ended;
    }
    if (sent_ < filled_) {
      Step step = TRY(to_.write({buffer_.data() + sent_, filled_ - sent_}));
      sent_ += step.moved;
      write_waits_for_ = step.waits_for;
      has_moved = has_moved || step.moved > 0;
    }
    if (is_ended_ && sent_ == filled_ && !is_finished_) {
      to_.finish_writing();
      is_finished_ = true;
      has_moved = true;
    }
    return has_moved;
  }

  void add_waits(std::vector<Watched>& watched) const {
    if (sent_ < filled_) {
      watched.push_back({to_.fd(), write_waits_for_});
    } else if (!is_ended_) {
      watched.push_back({from_.fd(), read_waits_for_});
    }
  }

 private:
  Stream& from_;
  Stream& to_;
  std::vector<char> buffer_;
  size_t filled_ = 0;
  size_t sent_ = 0;
  short read_waits_for_ = 0;
  short write_waits_for_ = 0;
  bool is_ended_ = false;     // nothing more comes
  bool is_finished_ = false;  // and the other side knows
};

}  // namespace

Result<> relay(Stream& left, Stream& right, const Waiter& waiter,
               std::chrono::steady_clock::duration idle_limit) {
  Flow there(left, right);
  Flow back(right, left);
  while (!there.is_done() || !back.is_done()) {
    bool has_moved = TRY(there.move());
    has_moved = TRY(back.move()) || has_moved;
    if (has_moved) continue;
    std::vector<Watched> watched;
    there.add_waits(watched);
    back.add_waits(watched);
    TRY(waiter.wait(watched, std::chrono::steady_clock::now() + idle_limit));
  }
  return {};
}

}  // namespace trainyard::proxy
