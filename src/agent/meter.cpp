// SPDX-License-Identifier: Apache-2.0
#include "agent/meter.hpp"

#include "base/text.hpp"

namespace trainyard::agent {

Meter::Meter(const Context& context, std::string what, uint64_t total_bytes)
    : context_(context),
      what_(std::move(what)),
      total_(total_bytes),
      begin_(Steady::now()),
      last_(begin_) {}

void Meter::add(uint64_t bytes) {
  uint64_t done = done_ += bytes;
  auto now = Steady::now();
  auto last = last_.load();
  constexpr std::chrono::seconds kInterval{5};
  if (now - last < kInterval || !last_.compare_exchange_strong(last, now)) return;
  double seconds = std::chrono::duration<double>(now - begin_).count();
  double rate = static_cast<double>(done) / seconds;
  uint64_t left = total_ > done ? total_ - done : 0;
  std::string line = fmt::format("{}: {} of {}, {}/s, {:.0f} s left", what_, format_bytes(done),
                                 format_bytes(total_), format_bytes(static_cast<uint64_t>(rate)),
                                 static_cast<double>(left) / std::max(rate, 1.0));
  context_.say(line);
  static_cast<void>(context_.journal.add(protocol::EventKind::progress, line));
}

}  // namespace trainyard::agent
