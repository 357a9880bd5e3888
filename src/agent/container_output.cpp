// SPDX-License-Identifier: Apache-2.0
#include "agent/container_output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

// "<frame> <size of the log>", each of 20 digits: one write of so few bytes is there or not.
constexpr size_t kCursorBytes = 42;
// Frames are of at most 16 KiB and a little; other lines of the log may have come behind them.
constexpr size_t kMaxTail = 4 << 20;

uint64_t size_of(const Fd& file) {
  struct stat info {};
  return ::fstat(file.get(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

}  // namespace

Result<ContainerOutput> ContainerOutput::open(const fs::path& log, const fs::path& cursor) {
  Fd log_file = TRY(open_file(log, O_RDWR | O_APPEND | O_CREAT, 0600));
  Fd cursor_file = TRY(open_file(cursor, O_RDWR | O_CREAT, 0600));
  ContainerOutput output(std::move(log_file), std::move(cursor_file));
  TRY(output.load());
  return output;
}

Result<> ContainerOutput::load() {
  std::string text(kCursorBytes, '\0');
  text.resize(TRY(read_at(cursor_.get(), text, 0)));
  if (text.empty()) return remember(0);
  auto words = split(trim(text), ' ');
  auto frame = words.size() == 2 ? parse_unsigned(words[0]) : std::nullopt;
  auto size = words.size() == 2 ? parse_unsigned(words[1]) : std::nullopt;
  if (!frame || !size) return fail(Code::internal, "the log's cursor is broken");
  frame_ = *frame;
  log_size_ = *size;
  return {};
}

Result<> ContainerOutput::remember(uint64_t number) {
  frame_ = number;
  log_size_ = size_of(log_);
  std::string text = fmt::format("{:020} {:020}\n", frame_, log_size_);
  ssize_t written = ::pwrite(cursor_.get(), text.data(), text.size(), 0);
  if (written == static_cast<ssize_t>(text.size())) return {};
  return fail_errno(errno, "writing the log's cursor");
}

Result<size_t> ContainerOutput::written_of(std::string_view bytes) const {
  uint64_t size = size_of(log_);
  uint64_t length = std::min<uint64_t>(size > log_size_ ? size - log_size_ : 0, kMaxTail);
  std::string tail(length, '\0');
  tail.resize(TRY(read_at(log_.get(), tail, log_size_)));
  if (tail.find(bytes) != std::string::npos) return bytes.size();
  for (size_t part = std::min(tail.size(), bytes.size()); part > 0; --part) {
    if (tail.ends_with(bytes.substr(0, part))) return part;
  }
  return 0;
}

Result<> ContainerOutput::take(uint64_t number, std::string_view bytes) {
  if (number < frame_) return {};
  // The cursor first: what is in the log then is never behind it.
  if (!may_be_there_) TRY(remember(number));
  size_t done = may_be_there_ ? TRY(written_of(bytes)) : 0;
  TRY(write_all(log_.get(), bytes.substr(done)));
  may_be_there_ = false;
  frame_ = number + 1;
  return {};
}

Result<> ContainerOutput::copy(docker::Client& docker, const std::string& container,
                               bool is_following, const std::stop_token& stop) {
  uint64_t number = 0;
  auto take_next = [&](std::string_view bytes) { return take(number++, bytes); };
  return docker.read_output(container, is_following, take_next, stop);
}

}  // namespace trainyard::agent
