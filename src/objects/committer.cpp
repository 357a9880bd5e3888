// SPDX-License-Identifier: Apache-2.0
#include "objects/committer.hpp"

#include <algorithm>

#include "db/statement.hpp"
#include "db/transaction.hpp"

namespace trainyard::objects {

namespace {

constexpr size_t kMaxBatch = 256;
constexpr auto kNever = std::chrono::steady_clock::time_point::max();

}  // namespace

Answer<> Committer::commit(const Change& change) {
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
Committer::Requests Committer::take_batch() {
  return queue_.with([](Queue& queue) {
    size_t count = std::min(queue.waiting.size(), kMaxBatch);
    auto end = queue.waiting.begin() + static_cast<ptrdiff_t>(count);
    Requests batch(queue.waiting.begin(), end);
    queue.waiting.erase(queue.waiting.begin(), end);
    return batch;
  });
}

std::shared_ptr<Committer::Request> Committer::next_leader() {
  return queue_.with([](Queue& queue) -> std::shared_ptr<Request> {
    queue.is_writing = !queue.waiting.empty();
    return queue.is_writing ? queue.waiting.front() : nullptr;
  });
}

void Committer::write(const Requests& batch) {
  auto written = write_all(batch);
  if (written) return;
  for (const auto& request : batch) request->outcome = tl::unexpected(Refusal(written.error()));
}

Result<> Committer::write_all(const Requests& batch) {
  auto transaction = TRY(db::Transaction::begin(database_));
  if (batch.size() == 1) {
    batch.front()->outcome = batch.front()->change(database_);
    if (!batch.front()->outcome) return {};  // nothing to commit
    return transaction.commit();
  }
  for (const auto& request : batch) {
    // One that refuses must not take the others with it.
    TRY(database_.prepare("SAVEPOINT change").run());
    request->outcome = request->change(database_);
    if (!request->outcome) TRY(database_.prepare("ROLLBACK TO change").run());
    TRY(database_.prepare("RELEASE change").run());
  }
  return transaction.commit();
}

}  // namespace trainyard::objects
