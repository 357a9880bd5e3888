// SPDX-License-Identifier: Apache-2.0
#include "transfer/parallel_gzip.hpp"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <deque>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "base/guarded.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kBlockBytes = 1 << 20;
constexpr size_t kMaxThreads = 12;
constexpr size_t kSampleBytes = 64 << 10;
constexpr size_t kSamplePieces = 8;
constexpr double kWorthwhile = 0.97;  // a sample that stays larger than that is not worth the time
constexpr size_t kStoredBytes = 0xffff;  // at most, in one stored block of deflate

// A gzip header without name and time (RFC 1952, 2.3), from an unknown system.
constexpr std::string_view kHeader("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10);
// An empty final block with fixed codes.
constexpr std::string_view kLastBlock("\x03\x00", 2);

std::array<char, 4> little_endian(uint32_t word) {
  return {static_cast<char>(word), static_cast<char>(word >> 8), static_cast<char>(word >> 16),
          static_cast<char>(word >> 24)};
}

uint32_t crc_of(std::span<const char> bytes) {
  return crc32_gzip_refl(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

// One thread's state of isa-l.
class Deflater {
 public:
  Deflater() : level_buffer_(ISAL_DEF_LVL1_DEFAULT), scratch_(kSampleBytes) {
    isal_deflate_init(&stream_);
  }

  // Deflate blocks that end at a byte border and refer to nothing before. 0: `output` is too small.
  size_t deflate(std::span<const char> input, std::span<char> output) {
    isal_deflate_reset(&stream_);
    stream_.level = 1;
    stream_.level_buf = level_buffer_.data();
    stream_.level_buf_size = static_cast<uint32_t>(level_buffer_.size());
    stream_.gzip_flag = IGZIP_DEFLATE;
    stream_.flush = FULL_FLUSH;
    stream_.end_of_stream = 0;
    // isa-l reads the input only; its interface lacks the const.
    stream_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uint32_t>(input.size());
    stream_.next_out = reinterpret_cast<uint8_t*>(output.data());
    stream_.avail_out = static_cast<uint32_t>(output.size());
    bool is_done = isal_deflate(&stream_) == COMP_OK && stream_.avail_in == 0;
    return is_done && stream_.avail_out > 0 ? output.size() - stream_.avail_out : 0;
  }

  // By pieces from all over the block: weights often begin with something else.
  bool would_shrink(std::span<const char> block) {
    if (block.size() < 2 * kSampleBytes) return true;
    std::array<char, kSampleBytes> sample;
    constexpr size_t kPiece = kSampleBytes / kSamplePieces;
    for (size_t i = 0; i < kSamplePieces; ++i) {
      auto piece = block.subspan(i * (block.size() / kSamplePieces), kPiece);
      std::copy(piece.begin(), piece.end(), sample.begin() + static_cast<ptrdiff_t>(i * kPiece));
    }
    size_t made = deflate(sample, scratch_);
    return made > 0 && static_cast<double>(made) < kWorthwhile * kSampleBytes;
  }

 private:
  isal_zstream stream_{};
  std::vector<uint8_t> level_buffer_;
  std::vector<char> scratch_;
};

struct Block {
  std::vector<char> input;  // this and the output: none, or kBlockBytes
  std::vector<char> output;
  size_t size = 0;      // of the input
  size_t deflated = 0;  // of the output; 0: the input is stored as it is
  uint32_t crc = 0;
  bool is_done = false;  // only under the lock once it was handed over
  bool is_zero = false;  // a whole block of zeros; `input` and `output` are not used

  std::span<const char> content() const { return std::span(input).first(size); }
};

void compress(Deflater& deflater, Block& block) {
  block.crc = crc_of(block.content());
  block.deflated = 0;
  if (!deflater.would_shrink(block.content())) return;
  block.output.resize(kBlockBytes);
  // Room for less than it was: what does not fit is better stored.
  block.deflated = deflater.deflate(block.content(), std::span(block.output).first(block.size));
}

size_t thread_count(size_t asked) {
  if (asked > 0) return asked;
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxThreads);
}

}  // namespace

// A ring of blocks: the calling thread fills one after another; coming round to a block that is
// still in use it waits for it and hands its result to the sink.
// Invariant: blocks_[emitted_ .. filled_) by their numbers are with the threads, or done.
class ParallelGzip::Pipeline {
 public:
  Pipeline(ByteSink sink, size_t threads) : sink_(std::move(sink)), blocks_(2 * threads + 1) {
    for (size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this](std::stop_token stop) { work(stop); });
    }
  }

  Result<Block*> current() {
    if (filled_ - emitted_ == blocks_.size()) TRY(emit_oldest());
    Block& block = at(filled_);
    block.input.resize(kBlockBytes);
    return &block;
  }

  // The current block is complete.
  void hand_over() {
    Block& block = at(filled_++);
    block.is_done = block.is_zero;
    if (!block.is_zero) work_.change([&](Work& work) { work.waiting.push_back(&block); });
  }

  Result<> finish() {
    if (TRY(current())->size > 0) hand_over();
    while (emitted_ < filled_) TRY(emit_oldest());
    TRY(begin());
    TRY(sink_(kLastBlock));
    auto crc = little_endian(crc_);
    auto length = little_endian(static_cast<uint32_t>(total_));
    TRY(sink_({crc.data(), crc.size()}));
    return sink_({length.data(), length.size()});
  }

 private:
  struct Work {
    std::deque<Block*> waiting;
  };

  Block& at(uint64_t number) { return blocks_[number % blocks_.size()]; }

  void work(const std::stop_token& stop) {
    Deflater deflater;
    for (;;) {
      auto is_waiting = [](Work& work) { return !work.waiting.empty(); };
      auto take = [&](Work& work) -> Block* {
        if (stop.stop_requested() || work.waiting.empty()) return nullptr;
        Block* block = work.waiting.front();
        work.waiting.pop_front();
        return block;
      };
      Block* block = work_.wait(stop, kNever, is_waiting, take);
      if (block == nullptr) return;
      compress(deflater, *block);
      work_.change([&](Work&) { block->is_done = true; });
    }
  }

  Result<> begin() {
    if (has_begun_) return {};
    has_begun_ = true;
    return sink_(kHeader);
  }

  Result<> emit_oldest() {
    Block& block = at(emitted_);
    work_.wait(
        {}, kNever, [&](Work&) { return block.is_done; }, [](Work&) {});
    TRY(begin());
    if (block.is_zero) {
      TRY(emit_zeros());
    } else {
      TRY(block.deflated > 0 ? sink_({block.output.data(), block.deflated}) : emit_stored(block));
      crc_ = crc_after(block.crc, block.size);
    }
    total_ += block.size;
    ++emitted_;
    block.size = 0;
    block.is_zero = false;
    return {};
  }

  Result<> emit_stored(const Block& block) {
    for (size_t offset = 0; offset < block.size; offset += kStoredBytes) {
      auto piece = block.content().subspan(offset, std::min(kStoredBytes, block.size - offset));
      auto length = static_cast<uint32_t>(piece.size());
      // Not final, stored; then the length and its complement (RFC 1951, 3.2.4).
      auto lengths = little_endian(length | ~length << 16);
      TRY(sink_(std::string_view("\0", 1)));
      TRY(sink_({lengths.data(), lengths.size()}));
      TRY(sink_({piece.data(), piece.size()}));
    }
    return {};
  }

  Result<> emit_zeros() {
    if (zeros_.empty()) {
      std::vector<char> zeros(kBlockBytes);
      zeros_.resize(kBlockBytes);
      zeros_.resize(Deflater().deflate(zeros, zeros_));
      zeros_crc_ = crc_of(zeros);
    }
    crc_ = crc_after(zeros_crc_, kBlockBytes);
    return sink_({zeros_.data(), zeros_.size()});
  }

  uint32_t crc_after(uint32_t crc, size_t size) const {
    return static_cast<uint32_t>(crc32_combine(crc_, crc, static_cast<z_off_t>(size)));
  }

  static constexpr auto kNever = std::chrono::steady_clock::time_point::max();

  ByteSink sink_;
  std::vector<Block> blocks_;
  uint64_t filled_ = 0;   // blocks handed over; this one is being filled
  uint64_t emitted_ = 0;  // blocks that the sink has
  bool has_begun_ = false;
  uint32_t crc_ = 0;
  uint64_t total_ = 0;
  std::vector<char> zeros_;  // a deflated block of zeros, once needed
  uint32_t zeros_crc_ = 0;
  Guarded<Work> work_;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

ParallelGzip::ParallelGzip(ByteSink sink, size_t threads)
    : pipeline_(std::make_unique<Pipeline>(std::move(sink), thread_count(threads))) {}

ParallelGzip::~ParallelGzip() = default;

Result<std::span<char>> ParallelGzip::room() {
  Block& block = *TRY(pipeline_->current());
  return std::span(block.input).subspan(block.size);
}

void ParallelGzip::advance(size_t bytes) {
  auto current = pipeline_->current();
  CHECK(current && (*current)->size + bytes <= kBlockBytes, "there was room");
  (*current)->size += bytes;
  if ((*current)->size == kBlockBytes) pipeline_->hand_over();
}

Result<> ParallelGzip::write(std::string_view bytes) {
  while (!bytes.empty()) {
    std::span<char> free = TRY(room());
    size_t count = std::min(free.size(), bytes.size());
    std::copy_n(bytes.data(), count, free.data());
    advance(count);
    bytes.remove_prefix(count);
  }
  return {};
}

Result<> ParallelGzip::write_zeros(uint64_t count) {
  while (count > 0) {
    Block& block = *TRY(pipeline_->current());
    size_t piece = static_cast<size_t>(std::min<uint64_t>(kBlockBytes - block.size, count));
    block.is_zero = piece == kBlockBytes;
    if (!block.is_zero) std::fill_n(block.input.data() + block.size, piece, '\0');
    advance(piece);
    count -= piece;
  }
  return {};
}

Result<> ParallelGzip::finish() {
  return pipeline_->finish();
}

}  // namespace trainyard::transfer
