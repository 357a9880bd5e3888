// SPDX-License-Identifier: Apache-2.0
#include "docker/frames.hpp"

namespace trainyard::docker {

namespace {

constexpr size_t kHeaderBytes = 8;
// The daemon cuts lines at 16 KiB; something longer is no frame, but a sign that we lost our place.
constexpr size_t kMaxFrameBytes = 1 << 20;

size_t byte_at(std::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

Result<size_t> payload_size(std::string_view header) {
  bool is_frame = byte_at(header, 0) <= 2 && header.substr(1, 3) == std::string_view("\0\0\0", 3);
  size_t size = byte_at(header, 4) << 24 | byte_at(header, 5) << 16 | byte_at(header, 6) << 8 |
                byte_at(header, 7);
  if (is_frame && size <= kMaxFrameBytes) return size;
  return fail(Code::invalid, "the container's output is not framed as expected");
}

}  // namespace

Result<> FrameParser::push(std::string_view bytes) {
  pending_ += bytes;
  std::string_view rest = pending_;
  while (rest.size() >= kHeaderBytes) {
    size_t size = TRY(payload_size(rest.substr(0, kHeaderBytes)));
    if (rest.size() < kHeaderBytes + size) break;
    TRY(on_frame_(rest.substr(kHeaderBytes, size)));
    rest.remove_prefix(kHeaderBytes + size);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return {};
}

}  // namespace trainyard::docker
