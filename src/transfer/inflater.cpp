// SPDX-License-Identifier: Apache-2.0
#include "transfer/inflater.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "base/check.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kUnpackedBytes = 64 << 10;  // stays in a core's cache
constexpr size_t kPieceBytes = 1 << 30;      // zlib counts in 32 bits

unsigned char byte_at(std::string_view bytes, size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}

}  // namespace

// zlib and not isa-l, which is faster: with damaged data isa-l 2.30 gives more or fewer bytes
// before it reports the damage, depending on how the input is cut, and so another record would be
// blamed.
struct Inflater::State {
  z_stream stream{};
  bool is_at_end = false;  // of the stream, or of a member of it
};

bool Inflater::is_header(Format format, std::string_view bytes) {
  if (format == Format::gzip) {
    return bytes.size() >= 4 && bytes.starts_with("\x1f\x8b\x08") &&
           (byte_at(bytes, 3) & 0xe0) == 0;  // reserved flags
  }
  if (bytes.size() < 2) return false;
  unsigned method = byte_at(bytes, 0);
  unsigned flags = byte_at(bytes, 1);
  constexpr unsigned kDictionary = 0x20;
  return (method & 0xf) == 8 && method >> 4 <= 7 && (method << 8 | flags) % 31 == 0 &&
         (flags & kDictionary) == 0;
}

Inflater::Inflater(Format format)
    : format_(format), state_(std::make_unique<State>()), unpacked_(kUnpackedBytes) {
  constexpr int kWindowBits = 15;
  constexpr int kGzip = 16;
  int made = ::inflateInit2(&state_->stream, kWindowBits + (format == Format::gzip ? kGzip : 0));
  CHECK(made == Z_OK, "memory for 32 KiB");
}

Inflater::~Inflater() {
  ::inflateEnd(&state_->stream);
}

std::string_view Inflater::format_name() const {
  return format_ == Format::gzip ? "gzip" : "zlib";
}

std::string Inflater::add(std::string_view bytes, const Take& take) {
  z_stream& stream = state_->stream;
  while (!bytes.empty() && fault_.empty()) {
    std::string_view piece = bytes.substr(0, kPieceBytes);
    bytes.remove_prefix(piece.size());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));  // only read
    stream.avail_in = static_cast<uInt>(piece.size());
    bool goes_on = true;
    while (goes_on && fault_.empty()) fault_ = step(take, goes_on);
  }
  return fault_;
}

// Unpacks up to a bufferful; `goes_on`: more of it can be made without more input.
std::string Inflater::step(const Take& take, bool& goes_on) {
  z_stream& stream = state_->stream;
  if (state_->is_at_end) {
    goes_on = stream.avail_in > 0;
    if (!goes_on) return "";
    if (format_ == Format::zlib) return "bytes follow the end of its zlib data";
    ::inflateReset(&stream);  // the next member
    state_->is_at_end = false;
  }
  stream.next_out = reinterpret_cast<Bytef*>(unpacked_.data());
  stream.avail_out = static_cast<uInt>(unpacked_.size());
  int result = ::inflate(&stream, Z_NO_FLUSH);
  size_t made = unpacked_.size() - stream.avail_out;
  bool is_wanted = made == 0 || take({unpacked_.data(), made});
  state_->is_at_end = result == Z_STREAM_END;
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
    return fmt::format("its {} data end badly: {}", format_name(),
                       stream.msg == nullptr ? "they cannot be unpacked" : stream.msg);
  }
  // Z_BUF_ERROR: there was nothing to do.
  goes_on = is_wanted && result != Z_BUF_ERROR &&
            (state_->is_at_end || stream.avail_in > 0 || stream.avail_out == 0);
  return "";
}

std::string Inflater::finish() const {
  if (!fault_.empty() || state_->is_at_end) return fault_;
  return fmt::format("its {} data end badly: the file ends within them", format_name());
}

}  // namespace trainyard::transfer
