// SPDX-License-Identifier: Apache-2.0
#include "transfer/tar_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

constexpr uint64_t kMaxOctal11 = 0777'7777'7777;  // what fields of 12 bytes hold

// POSIX.1-2017, ustar header block.
struct Header {
  std::array<char, 100> name{};
  std::array<char, 8> mode{};
  std::array<char, 8> uid{};
  std::array<char, 8> gid{};
  std::array<char, 12> size{};
  std::array<char, 12> modified{};
  std::array<char, 8> checksum{};
  char type = '0';
  std::array<char, 100> target{};
  std::array<char, 8> magic{'u', 's', 't', 'a', 'r', '\0', '0', '0'};
  std::array<char, 247> rest{};  // owner and group, devices, prefix, filling
};
static_assert(sizeof(Header) == kTarBlock);

template <size_t size>
void put(std::array<char, size>& field, std::string_view text) {
  std::copy_n(text.data(), std::min(size, text.size()), field.data());
}

template <size_t size>
void put_octal(std::array<char, size>& field, uint64_t number) {
  put(field, fmt::format("{:0{}o}", number, size - 1));
}

std::string to_block(Header header) {
  header.checksum.fill(' ');
  std::string block(reinterpret_cast<const char*>(&header), sizeof header);
  uint64_t sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  std::string text = fmt::format("{:06o}", sum) + '\0' + ' ';
  block.replace(offsetof(Header, checksum), text.size(), text);
  return block;
}

// "<length> <name>=<value>\n", where the length counts its own digits.
std::string record(std::string_view name, std::string_view value) {
  size_t rest = name.size() + value.size() + 3;
  size_t length = rest;
  while (length != rest + fmt::format("{}", length).size()) {
    length = rest + fmt::format("{}", length).size();
  }
  return fmt::format("{} {}={}\n", length, name, value);
}

bool fits_ustar(std::string_view name) {
  return name.size() <= 100 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= ' ' && c < 127; });
}

std::string records_of(const TarMember& member) {
  std::string records;
  if (!is_valid_utf8(member.name) || !is_valid_utf8(member.target)) {
    records += record("hdrcharset", "BINARY");
  }
  if (!fits_ustar(member.name)) records += record("path", member.name);
  if (!fits_ustar(member.target)) records += record("linkpath", member.target);
  if (member.size > kMaxOctal11) records += record("size", fmt::format("{}", member.size));
  if (member.modified < 0 || static_cast<uint64_t>(member.modified) > kMaxOctal11) {
    records += record("mtime", fmt::format("{}", member.modified));
  }
  return records;
}

// For readers that do not know extended headers.
std::string plain(std::string_view name) {
  std::string text(name.substr(0, 99));
  for (char& c : text) c = c >= ' ' && c < 127 ? c : '_';
  return text;
}

}  // namespace

size_t tar_padding(uint64_t size) {
  return static_cast<size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

std::string tar_header(const TarMember& member) {
  Header header;
  put(header.name, fits_ustar(member.name) ? member.name : plain(member.name));
  put(header.target, fits_ustar(member.target) ? member.target : plain(member.target));
  put_octal(header.mode, member.mode & 07777);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, std::min(member.size, kMaxOctal11));
  auto modified = static_cast<uint64_t>(std::max<int64_t>(member.modified, 0));
  put_octal(header.modified, std::min(modified, kMaxOctal11));
  header.type = static_cast<char>(member.type);

  std::string records = records_of(member);
  if (records.empty()) return to_block(header);
  Header extended;
  put(extended.name, "PaxHeaders/" + plain(member.name).substr(0, 80));
  put_octal(extended.mode, 0644);
  put_octal(extended.uid, 0);
  put_octal(extended.gid, 0);
  put_octal(extended.size, records.size());
  put_octal(extended.modified, 0);
  extended.type = 'x';
  records.resize(records.size() + tar_padding(records.size()));
  return to_block(extended) + records + to_block(header);
}

}  // namespace trainyard::transfer
