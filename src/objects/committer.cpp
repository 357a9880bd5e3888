// SPDX-License-Identifier: Apache-2.0
#include "objects/committer.hpp"

#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::objects {

namespace {

constexpr size_t kMaxBatch = 256;
constexpr auto kNever = std::chrono::steady_clock::time_point::max();

}  // namespace

Answer<> Committer::commit(const Change& change) {
  Request own{&change, {}};
  queue_.with([&](Queue& queue) {
    queue.waiting.push_back(&own);
    own.is_leader = !std::exchange(queue.is_writing, true);
  });
  queue_.wait(
      {}, kNever, [&](Queue&) { return own.is_done || own.is_leader; }, [](Queue&) {});
  if (own.is_done) return own.outcome;
  auto batch = take_batch();
  write(batch);
  queue_.change([&](Queue& queue) {
    for (Request* request : batch) request->is_done = true;
    queue.is_writing = !queue.waiting.empty();
    if (queue.is_writing) queue.waiting.front()->is_leader = true;
  });
  return own.outcome;
}

// The leader is the oldest that waits.
std::vector<Committer::Request*> Committer::take_batch() {
  return queue_.with([](Queue& queue) {
    size_t count = std::min(queue.waiting.size(), kMaxBatch);
    auto end = queue.waiting.begin() + static_cast<ptrdiff_t>(count);
    std::vector<Request*> batch(queue.waiting.begin(), end);
    queue.waiting.erase(queue.waiting.begin(), end);
    return batch;
  });
}

void Committer::write(const std::vector<Request*>& batch) {
  auto written = write_all(batch);
  if (written) return;
  for (Request* request : batch) request->outcome = tl::unexpected(Refusal(written.error()));
}

Result<> Committer::write_all(const std::vector<Request*>& batch) {
  auto transaction = TRY(db::Transaction::begin(database_));
  if (batch.size() == 1) {
    batch.front()->outcome = (*batch.front()->change)(database_);
    if (!batch.front()->outcome) return {};  // nothing to commit
    return transaction.commit();
  }
  for (Request* request : batch) {
    // One that refuses must not take the others with it.
    TRY(database_.prepare("SAVEPOINT change").run());
    request->outcome = (*request->change)(database_);
    if (!request->outcome) TRY(database_.prepare("ROLLBACK TO change").run());
    TRY(database_.prepare("RELEASE change").run());
  }
  return transaction.commit();
}

}  // namespace trainyard::objects
