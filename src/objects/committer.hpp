// SPDX-License-Identifier: Apache-2.0
// Group commit: changes that come while a transaction is written to disk share the next one.
// Internal to objects/.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/guarded.hpp"
#include "db/database.hpp"
#include "objects/object_store.hpp"

namespace trainyard::objects {

// Thread-safe. There is no thread and no timer behind it: whoever comes while nothing is written
// writes at once, for itself and all that wait; with one client at a time each change is a
// transaction of its own.
class Committer {
 public:
  // Either it changes all it wants to, or it refuses and what it had changed is undone.
  using Change = std::function<Answer<>(db::Database&)>;

  explicit Committer(db::Database database) : database_(std::move(database)) {}

  // The change is on disk when this returns without a refusal. It runs in another caller's thread,
  // maybe; while it runs nothing else changes the database.
  Answer<> commit(const Change& change);

 private:
  enum class Turn { waiting, leading, done };  // leading: it is its thread that writes next
  // Shared with the leader, which still wakes a thread that has seen its turn already.
  struct Request {
    explicit Request(const Change& asked) : change(asked) {}
    const Change& change;
    Answer<> outcome;
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

  db::Database database_;  // the leader's alone
  Guarded<Queue> queue_;
};

// Commits a change that finds something out.
template <class Value, class Change>
Answer<Value> commit_for(Committer& committer, Change change) {
  std::optional<Value> value;
  TRY(committer.commit([&](db::Database& database) -> Answer<> {
    value = TRY(change(database));
    return {};
  }));
  return std::move(*value);
}

}  // namespace trainyard::objects
