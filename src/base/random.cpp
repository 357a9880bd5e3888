// SPDX-License-Identifier: Apache-2.0
#include "base/random.hpp"

#include <sys/random.h>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard {

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  size_t done = 0;
  while (done < count) {
    ssize_t n = ::getrandom(bytes.data() + done, count - done, 0);
    CHECK(n > 0, "the kernel's random generator answers");
    done += static_cast<size_t>(n);
  }
  return bytes;
}

std::string random_hex(size_t byte_count) {
  return to_hex(random_bytes(byte_count));
}

std::string random_text(size_t length, std::string_view alphabet) {
  CHECK(!alphabet.empty() && alphabet.size() <= 256, "an alphabet of one byte's range");
  // Bytes at or above the largest multiple of the alphabet's size would favour its first letters.
  const size_t fair = 256 / alphabet.size() * alphabet.size();
  std::string text;
  while (text.size() < length) {
    for (char c : random_bytes(length)) {
      size_t value = static_cast<unsigned char>(c);
      if (value < fair && text.size() < length) text += alphabet[value % alphabet.size()];
    }
  }
  return text;
}

}  // namespace trainyard
