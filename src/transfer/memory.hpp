// SPDX-License-Identifier: Apache-2.0
// The host's memory, for what should not fill it. Internal to transfer/.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

namespace trainyard::transfer {

// Bytes that the kernel could give away at once, as a text like /proc/meminfo's says.
std::optional<uint64_t> parse_available(std::string_view meminfo);
std::optional<uint64_t> available_memory();

struct FreeBuffer {
  void operator()(char* buffer) const { std::free(buffer); }
};
// Memory at a multiple of kBlockBytes, from which can be written past the page cache.
using Buffer = std::unique_ptr<char, FreeBuffer>;
Buffer make_buffer(size_t bytes);

}  // namespace trainyard::transfer
