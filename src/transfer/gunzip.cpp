// SPDX-License-Identifier: Apache-2.0
#include "transfer/gunzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/check.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kPiece = 256 << 10;
constexpr int kGzipOnly = 16 + MAX_WBITS;  // of inflateInit2

}  // namespace

struct Gunzip::State {
  z_stream stream{};
  std::vector<char> out = std::vector<char>(kPiece);
  uint64_t offset = 0;  // of the first byte that was not taken yet
  bool is_within_member = false;
};

Gunzip::Gunzip() : state_(std::make_unique<State>()) {
  CHECK(inflateInit2(&state_->stream, kGzipOnly) == Z_OK, "there is memory for a window");
}

Gunzip::~Gunzip() {
  inflateEnd(&state_->stream);
}

Result<> Gunzip::add(std::string_view bytes, const OnPiece& on_piece) {
  State& state = *state_;
  z_stream& stream = state.stream;
  bool is_out_full = false;  // then zlib may hold more, even with no input left
  while (!bytes.empty() || is_out_full) {
    if (!state.is_within_member) {
      size_t zeros = std::min(bytes.find_first_not_of('\0'), bytes.size());
      bytes.remove_prefix(zeros);
      state.offset += zeros;
      if (bytes.empty()) return {};
      inflateReset(&stream);
      state.is_within_member = true;
    }
    size_t given = std::min<size_t>(bytes.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = reinterpret_cast<Bytef*>(state.out.data());
    stream.avail_out = static_cast<uInt>(state.out.size());
    int status = inflate(&stream, Z_NO_FLUSH);
    size_t taken = given - stream.avail_in;
    bytes.remove_prefix(taken);
    state.offset += taken;
    // Z_BUF_ERROR: it needs more input than this.
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      return fail(Code::invalid, "damaged gzip at byte {}: {}", state.offset,
                  stream.msg == nullptr ? "no such stream" : stream.msg);
    }
    size_t made = state.out.size() - stream.avail_out;
    if (made > 0) TRY(on_piece({state.out.data(), made}));
    state.is_within_member = status != Z_STREAM_END;
    is_out_full = state.is_within_member && stream.avail_out == 0;
  }
  return {};
}

Result<> Gunzip::finish() const {
  if (!state_->is_within_member) return {};
  return fail(Code::invalid, "damaged gzip: it ends at byte {}, within a member", state_->offset);
}

}  // namespace trainyard::transfer
