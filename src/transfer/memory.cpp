// SPDX-License-Identifier: Apache-2.0
#include "transfer/memory.hpp"

#include <charconv>

#include "base/check.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "transfer/part_file.hpp"

namespace trainyard::transfer {

std::optional<uint64_t> parse_available(std::string_view meminfo) {
  constexpr std::string_view kName = "MemAvailable:";
  for (std::string_view line : split(meminfo, '\n')) {
    if (!line.starts_with(kName)) continue;
    line.remove_prefix(std::min(line.find_first_not_of(' ', kName.size()), line.size()));
    uint64_t kib = 0;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), kib);
    bool is_right = error == std::errc() && std::string_view(end, line.end()) == " kB" &&
                    kib <= UINT64_MAX / 1024;
    return is_right ? std::optional(kib * 1024) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<uint64_t> available_memory() {
  auto text = read_file("/proc/meminfo");
  return text ? parse_available(*text) : std::nullopt;
}

Buffer make_buffer(size_t bytes) {
  Buffer buffer(static_cast<char*>(std::aligned_alloc(kBlockBytes, bytes)));
  CHECK(buffer != nullptr, "there is memory for a buffer");
  return buffer;
}

}  // namespace trainyard::transfer
