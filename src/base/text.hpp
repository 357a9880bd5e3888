// SPDX-License-Identifier: Apache-2.0
// Small words on text and on its encodings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string replace_all(std::string text, std::string_view from, std::string_view to);
bool is_valid_utf8(std::string_view text);

// Every byte that is no part of valid UTF-8 becomes U+FFFD.
std::string to_valid_utf8(std::string_view text);

// Cuts in the middle, at UTF-8 boundaries, so that the result is at most `limit` bytes.
std::string cut_middle(std::string_view text, size_t limit);

// Whole-text numbers only: no sign for the unsigned form, no blanks, no overflow.
std::optional<uint64_t> parse_unsigned(std::string_view text);
std::optional<uint64_t> parse_hexadecimal(std::string_view text);  // of chunk lengths: below 2^60
std::optional<int64_t> parse_signed(std::string_view text);
std::optional<double> parse_double(std::string_view text);  // finite ones, as C writes them

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view hex);
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view base64);

// RFC 3986: all but A-Z a-z 0-9 - . _ ~ become %XX; '/' is kept where `keep_slash`.
std::string percent_encode(std::string_view text, bool keep_slash = false);
// A '%' without two hex digits is nullopt. '+' stays '+'.
std::optional<std::string> percent_decode(std::string_view text);

// "1.5 GiB"; for people, not for parsing.
std::string format_bytes(uint64_t bytes);

}  // namespace trainyard
