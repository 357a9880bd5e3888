// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.hpp"

namespace trainyard::cli {

std::string progress_text(uint64_t done, uint64_t total, double seconds) {
  double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = fmt::format("{} of {}, {}/s", format_bytes(done), format_bytes(total),
                                 format_bytes(static_cast<uint64_t>(rate)));
  if (rate >= 1 && done < total) {
    text += fmt::format(", {:.0f} s left", static_cast<double>(total - done) / rate);
  }
  return text;
}

Progress::Progress(std::string what, uint64_t total_bytes)
    : what_(std::move(what)),
      total_(total_bytes),
      is_terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Steady::now()),
      last_(start_) {}

Progress::~Progress() {
  if (has_drawn_ && is_terminal_) fmt::print(stderr, "\n");
}

void Progress::add(uint64_t bytes) {
  done_ += bytes;
  auto now = Steady::now();
  auto interval = is_terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000);
  bool is_short = now - start_ < std::chrono::seconds(1);
  if (is_short || now - last_ < interval) return;
  last_ = now;
  has_drawn_ = true;
  double seconds = std::chrono::duration<double>(now - start_).count();
  std::string text = what_ + "  " + progress_text(done_, total_, seconds);
  // "\x1b[K" clears what a longer line left.
  if (is_terminal_)
    fmt::print(stderr, "\r{}\x1b[K", text);
  else
    fmt::print(stderr, "{}\n", text);
}

}  // namespace trainyard::cli
