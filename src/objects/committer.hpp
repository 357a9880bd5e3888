// SPDX-License-Identifier: Apache-2.0
// Group commit: changes that come while a transaction is written to disk share the next one.
// Internal to objects/.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

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
  struct Request {
    const Change* change;
    Answer<> outcome;
    bool is_done = false;
    bool is_leader = false;  // it is this one's thread that writes next
  };
  struct Queue {
    std::deque<Request*> waiting;
    bool is_writing = false;
  };

  std::vector<Request*> take_batch();
  void write(const std::vector<Request*>& batch);
  Result<> write_all(const std::vector<Request*>& batch);

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
