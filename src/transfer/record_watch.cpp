// SPDX-License-Identifier: Apache-2.0
#include "transfer/record_watch.hpp"

#include <optional>

namespace trainyard::transfer {

class RecordWatch::Watcher : public Observer {
 public:
  Watcher(RecordWatch& watch, std::string path) : watch_(watch), path_(std::move(path)) {}

  void add(std::string_view bytes) override {
    if (scanner_.wants_more()) scanner_.add(bytes);
  }

  void done() override {
    RecordVerdict verdict = scanner_.finish();
    if (!verdict.is_tfrecord) return;
    watch_.seen_.with([&](auto& seen) { seen[path_] = std::move(verdict); });
  }

 private:
  RecordWatch& watch_;
  std::string path_;
  RecordScanner scanner_;
};

std::unique_ptr<Observer> RecordWatch::observe(const Fetch& fetch) {
  return std::make_unique<Watcher>(*this, fetch.path.string());
}

void RecordWatch::keep(const Fetch& fetch) {
  auto verdict = seen_.with([&](auto& seen) {
    auto found = seen.extract(fetch.path.string());
    return found ? std::optional(std::move(found.mapped())) : std::nullopt;
  });
  if (verdict) remember_verdict(fetch.path, *verdict);
}

}  // namespace trainyard::transfer
