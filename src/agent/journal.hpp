// SPDX-License-Identifier: Apache-2.0
// What an agent must know after it was killed and started again: the events it has made, and how
// far the script is. One small file, replaced atomically. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/guarded.hpp"
#include "protocol/report.hpp"

namespace trainyard::agent {

class Journal {
 public:
  // Reads the file where it exists.
  static Result<std::unique_ptr<Journal>> open(fs::path file, const Clock& clock);

  // Appends an event, durably, and tells the listener. An error is that of the disk.
  Result<> add(protocol::EventKind kind, const std::string& message = {});
  Result<> finish(protocol::Outcome outcome, const std::string& failure_reason, bool has_artifacts,
                  const std::string& diagnosis = {});

  std::vector<protocol::Event> events_after(int64_t sequence) const;
  bool has(protocol::EventKind kind) const;

  // Where in the log the script's own output begins.
  Result<> set_script_offset(int64_t offset);
  int64_t script_offset() const;

  // Called after each event, from the thread that added it. Set it once, before the first event.
  void on_event(std::function<void()> listener) { listener_ = std::move(listener); }

 private:
  struct State {
    std::vector<protocol::Event> events;
    int64_t script_offset = 0;
  };

  Journal(fs::path file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}
  Result<> append(protocol::Event event);
  static Result<> save(const fs::path& file, const State& state);

  fs::path file_;
  const Clock& clock_;
  Guarded<State> state_;
  std::function<void()> listener_;
};

}  // namespace trainyard::agent
