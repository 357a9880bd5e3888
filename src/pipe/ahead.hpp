// SPDX-License-Identifier: Apache-2.0
// Small objects over S3, fetched over several connections ahead of their one reader: the way to the
// store is waited for about once, not once for each object.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/guarded.hpp"
#include "pipe/plan.hpp"

namespace trainyard::pipe {

// Clients of the services where a plan's objects live. Not thread-safe. The plan must outlive it.
class Clients {
 public:
  Clients(const PipePlan& plan, std::stop_token stop) : plan_(plan), stop_(std::move(stop)) {}
  transfer::S3Client& of(const std::string& bucket);

 private:
  const PipePlan& plan_;
  std::stop_token stop_;
  std::map<const RemoteS3*, transfer::S3Client> clients_;  // of our own store under null
};

class Ahead {
 public:
  // Objects that come this way: over S3, not empty, and so small that their bytes take no longer
  // than the way.
  static bool is_for(const Source& source);

  // For the channel's entries in this order; plan, channel and order must outlive it. At most about
  // `budget_bytes` are in memory, and one object.
  Ahead(const PipePlan& plan, const PipeChannel& channel, const std::vector<size_t>& order,
        uint64_t budget_bytes, std::stop_token stop);
  ~Ahead();
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  struct Fetched {
    std::string bytes;  // after an error those that came before it
    Result<> outcome;   // as S3Client::read_object has it
  };
  // The next object that is_for(), in order. Call it at most once for each. `spare` may hold memory
  // that is used again.
  Fetched next(std::string spare);

 private:
  // Filled by one thread, then taken by the reader.
  struct Slot {
    const Source* source = nullptr;
    Guarded<std::optional<Fetched>> fetched;
  };
  struct State {
    size_t entry = 0;  // where the next object is looked for
    size_t piece = 0;
    std::deque<std::shared_ptr<Slot>> slots;  // begun, and not taken by the reader yet
    uint64_t bytes = 0;                       // of those
    bool is_at_end = false;
    std::vector<std::string> spares;
  };

  void run();
  std::shared_ptr<Slot> begin_next(std::string& spare);
  const Source* find_next(State& state) const;

  const PipePlan& plan_;
  const PipeChannel& channel_;
  const std::vector<size_t>& order_;
  const uint64_t budget_bytes_;
  struct Relay {
    std::stop_source& target;
    void operator()() const { target.request_stop(); }
  };
  std::stop_source stop_;
  std::stop_callback<Relay> relay_;
  Guarded<State> state_;
  std::vector<std::jthread> threads_;
};

}  // namespace trainyard::pipe
