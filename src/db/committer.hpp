// SPDX-License-Identifier: Apache-2.0
// Group commit: changes that come while a transaction is written to disk share the next one.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/guarded.hpp"
#include "db/database.hpp"
#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::db {

// Thread-safe. There is no thread and no timer behind it: whoever comes while nothing is written
// writes at once, for itself and all that wait; with one client at a time each change is a
// transaction of its own. `Outcome` is an expected<void, E> whose E can be made of an Error.
template <class Outcome>
class Committer {
 public:
  // Either it changes all it wants to, or it fails and what it had changed is undone.
  using Change = std::function<Outcome(Database&)>;

  explicit Committer(Database database) : database_(std::move(database)) {}

  // The change is on disk when this returns without an error. It runs in another caller's thread,
  // maybe; while it runs nothing else changes the database.
  Outcome commit(const Change& change);

 private:
  static constexpr size_t kMaxBatch = 256;

  enum class Turn { waiting, leading, done };  // leading: it is its thread that writes next
  // Shared with the leader, which still wakes a thread that has seen its turn already.
  struct Request {
    explicit Request(const Change& asked) : change(asked) {}
    const Change& change;
    Outcome outcome;
    Guarded<Turn> turn;  // of its own, so that only the thread is woken that it concerns
  };
  using Requests = std::deque<std::shared_ptr<Request>>;
  struct Queue {
    Requests waiting;
    bool is_writing = false;
  };

  Requests take_batch();
  std::shared_ptr<Request> next_leader();
  void write(const Requests& batch);
  Result<> write_all(const Requests& batch);

  Database database_;  // the leader's alone
  Guarded<Queue> queue_;
};

// Commits a change that finds something out.
template <class Value, class Outcome, class Change>
auto commit_for(Committer<Outcome>& committer, Change change)
    -> tl::expected<Value, typename Outcome::error_type> {
  std::optional<Value> value;
  TRY(committer.commit([&](Database& database) -> Outcome {
    value = TRY(change(database));
    return {};
  }));
  return std::move(*value);
}

template <class Outcome>
Outcome Committer<Outcome>::commit(const Change& change) {
  constexpr auto kNever = std::chrono::steady_clock::time_point::max();
  auto own = std::make_shared<Request>(change);
  bool is_leading = queue_.with([&](Queue& queue) {
    queue.waiting.push_back(own);
    return !std::exchange(queue.is_writing, true);
  });
  if (!is_leading) {
    auto has_come = [](Turn turn) { return turn != Turn::waiting; };
    Turn turn = own->turn.wait({}, kNever, has_come, [](Turn& now) { return now; });
    if (turn == Turn::done) return own->outcome;
  }
  auto batch = take_batch();
  write(batch);
  // First who writes next: the disk should not wait.
  if (auto next = next_leader()) next->turn.change([](Turn& turn) { turn = Turn::leading; });
  for (const auto& request : batch) {
    if (request != own) request->turn.change([](Turn& turn) { turn = Turn::done; });
  }
  return own->outcome;
}

// The leader is the oldest that waits.
template <class Outcome>
auto Committer<Outcome>::take_batch() -> Requests {
  return queue_.with([](Queue& queue) {
    size_t count = std::min(queue.waiting.size(), kMaxBatch);
    auto end = queue.waiting.begin() + static_cast<ptrdiff_t>(count);
    Requests batch(queue.waiting.begin(), end);
    queue.waiting.erase(queue.waiting.begin(), end);
    return batch;
  });
}

template <class Outcome>
auto Committer<Outcome>::next_leader() -> std::shared_ptr<Request> {
  return queue_.with([](Queue& queue) -> std::shared_ptr<Request> {
    queue.is_writing = !queue.waiting.empty();
    return queue.is_writing ? queue.waiting.front() : nullptr;
  });
}

template <class Outcome>
void Committer<Outcome>::write(const Requests& batch) {
  auto written = write_all(batch);
  if (written) return;
  for (const auto& request : batch) {
    request->outcome = tl::unexpected(typename Outcome::error_type(written.error()));
  }
}

template <class Outcome>
Result<> Committer<Outcome>::write_all(const Requests& batch) {
  auto transaction = TRY(Transaction::begin(database_));
  if (batch.size() == 1) {
    batch.front()->outcome = batch.front()->change(database_);
    if (!batch.front()->outcome) return {};  // nothing to commit
    return transaction.commit();
  }
  for (const auto& request : batch) {
    // One that fails must not take the others with it.
    TRY(database_.prepare("SAVEPOINT change").run());
    request->outcome = request->change(database_);
    if (!request->outcome) TRY(database_.prepare("ROLLBACK TO change").run());
    TRY(database_.prepare("RELEASE change").run());
  }
  return transaction.commit();
}

}  // namespace trainyard::db
