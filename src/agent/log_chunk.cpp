// SPDX-License-Identifier: Apache-2.0
#include "agent/log_chunk.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

constexpr size_t kMaxLineBytes = 256 << 10;  // CloudWatch Logs, PutLogEvents: size of an event
constexpr size_t kMaxChunkBytes = 1 << 20;
constexpr size_t kMaxChunkLines = 10'000;

std::string_view visible(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  size_t at = line.rfind('\r');
  return at == std::string_view::npos ? line : line.substr(at + 1);
}

}  // namespace

protocol::LogChunk cut_lines(std::string_view bytes, int64_t offset, int64_t time_ms,
                             bool is_final) {
  protocol::LogChunk chunk{offset, offset, {}};
  size_t done = 0;
  while (done < bytes.size() && done < kMaxChunkBytes && chunk.lines.size() < kMaxChunkLines) {
    std::string_view rest = bytes.substr(done);
    size_t end = rest.find('\n');
    bool is_whole = end != std::string_view::npos && end <= kMaxLineBytes;
    if (!is_whole && !is_final && rest.size() < kMaxLineBytes) break;
    size_t length = is_whole ? end : std::min(rest.size(), kMaxLineBytes);
    chunk.lines.push_back({time_ms, to_valid_utf8(visible(rest.substr(0, length)))});
    done += length + (is_whole ? 1 : 0);
  }
  chunk.end = offset + static_cast<int64_t>(done);
  return chunk;
}

}  // namespace trainyard::agent
