// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

namespace trainyard {

// State that is only reachable while its lock is held:
//
//   Guarded<Queue> queue;
//   queue.with([&](Queue& q) { q.push(item); });
//
// Never call out (callbacks, I/O that may block for long, another Guarded) from inside `with`.
template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  template <class Function>
  decltype(auto) with(Function&& function) {
    std::lock_guard lock(mutex_);
    return std::forward<Function>(function)(value_);
  }

  template <class Function>
  decltype(auto) with(Function&& function) const {
    std::lock_guard lock(mutex_);
    return std::forward<Function>(function)(value_);
  }

  // Like `with`, and wakes everything that waits in wait().
  template <class Function>
  void change(Function&& function) {
    {
      std::lock_guard lock(mutex_);
      std::forward<Function>(function)(value_);
    }
    changed_.notify_all();
  }

  // Waits until `ready(value)` holds, the deadline has passed or a stop was requested; then calls
  // `function(value)` under the same lock, whichever it was.
  template <class Deadline, class Ready, class Function>
  decltype(auto) wait(std::stop_token stop, Deadline deadline, Ready ready, Function&& function) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, stop, deadline, [&] { return ready(value_); });
    return std::forward<Function>(function)(value_);
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  T value_{};
};

}  // namespace trainyard
