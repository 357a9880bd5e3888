// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace trainyard {

// Bytes from the kernel's generator, fit for keys and tokens.
std::string random_bytes(size_t count);

// `byte_count` random bytes as 2 x byte_count lower-case hex digits.
std::string random_hex(size_t byte_count);

// `length` characters drawn evenly from `alphabet`.
std::string random_text(size_t length, std::string_view alphabet);

}  // namespace trainyard
