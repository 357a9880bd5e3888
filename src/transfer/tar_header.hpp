// SPDX-License-Identifier: Apache-2.0
// Headers of a tar in the pax format (POSIX.1-2017, pax: "ustar Interchange Format" and "pax
// Extended Header"): ustar where that can say it, an extended header before it where it cannot:
// names that are long or not ASCII, sizes from 8 GiB on, times before 1970 and after 2242.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trainyard::transfer {

constexpr size_t kTarBlock = 512;  // headers and contents are filled up to it

enum class TarType : char { file = '0', hard_link = '1', symbolic_link = '2', folder = '5' };

struct TarMember {
  TarType type = TarType::file;
  std::string name;    // of a folder with a '/' at its end
  std::string target;  // of links
  uint32_t mode = 0644;
  int64_t modified = 0;  // seconds since 1970
  uint64_t size = 0;     // of a file's content, which follows
};

// All blocks before the member's content. Names that are no UTF-8 are kept as bytes.
std::string tar_header(const TarMember& member);

// Zeros to be written after a content of that size.
size_t tar_padding(uint64_t size);

}  // namespace trainyard::transfer
