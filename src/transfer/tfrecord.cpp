// SPDX-License-Identifier: Apache-2.0
#include "transfer/tfrecord.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

#include "objects/checksum.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kChecksumBytes = 4;
constexpr size_t kHeaderBytes = kLengthBytes + kChecksumBytes;
constexpr uint64_t kPiece = 1 << 20;
static_assert(std::endian::native == std::endian::little);

template <class Word>
Word word_at(std::string_view bytes) {
  Word word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

// TensorFlow rotates checksums and adds a constant, so that those of data that hold checksums
// themselves stay good.
uint32_t masked(const std::string& big_endian_checksum) {
  constexpr uint32_t kDelta = 0xa282ead8;
  uint32_t checksum = __builtin_bswap32(word_at<uint32_t>(big_endian_checksum));
  return std::rotr(checksum, 15) + kDelta;
}

class Reader {
 public:
  explicit Reader(gzFile file) : file_(file) {}

  Result<std::optional<BrokenRecord>> find_broken() {
    for (;; ++index_) {
      begin_ = at_;
      auto header = TRY(read(kHeaderBytes));
      if (header.empty()) return std::nullopt;
      if (header.size() < kHeaderBytes) return broken("the file ends within its header");
      std::string_view length = std::string_view(header).substr(0, kLengthBytes);
      auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc32c);
      digest->add(length);
      if (word_at<uint32_t>(std::string_view(header).substr(kLengthBytes)) !=
          masked(digest->finish())) {
        return broken("its length does not match its checksum");
      }
      if (auto what = TRY(check_data(word_at<uint64_t>(length)))) return broken(*what);
    }
  }

  // The record that is read now.
  std::optional<BrokenRecord> broken(std::string what) const {
    return BrokenRecord{index_, begin_, std::move(what)};
  }

 private:
  // What is wrong with the data that begin here.
  Result<std::optional<std::string>> check_data(uint64_t length) {
    auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc32c);
    while (length > 0) {
      auto piece = TRY(read(std::min(length, kPiece)));
      if (piece.empty()) return std::optional<std::string>("the file ends within its data");
      digest->add(piece);
      length -= piece.size();
    }
    auto checksum = TRY(read(kChecksumBytes));
    if (checksum.size() < kChecksumBytes) {
      return std::optional<std::string>("the file ends within its checksum");
    }
    if (word_at<uint32_t>(checksum) == masked(digest->finish())) {
      return std::optional<std::string>();
    }
    return std::optional<std::string>("its data do not match their checksum");
  }

  // Fewer bytes than asked for only at the file's end.
  Result<std::string> read(size_t count) {
    std::string bytes(count, '\0');
    int got = ::gzread(file_, bytes.data(), static_cast<unsigned>(count));
    int error = Z_OK;
    const char* text = ::gzerror(file_, &error);
    if (error == Z_ERRNO) return fail_errno(errno, "reading a TFRecord file");
    if (got < 0 || error != Z_OK) return fail(Code::invalid, "its gzip data end badly: {}", text);
    bytes.resize(static_cast<size_t>(got));
    at_ += bytes.size();
    return bytes;
  }

  gzFile file_;
  uint64_t at_ = 0;
  uint64_t begin_ = 0;  // of the record
  uint64_t index_ = 0;
};

}  // namespace

Result<std::optional<BrokenRecord>> find_broken_record(const fs::path& file) {
  Fd fd = TRY(open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  // Reads what is no gzip as it is.
  std::unique_ptr<gzFile_s, int (*)(gzFile)> stream(::gzdopen(::dup(fd.get()), "rb"), &::gzclose);
  if (!stream) return fail(Code::exhausted, "no memory to read {}", file.string());
  Reader reader(stream.get());
  auto found = reader.find_broken();
  if (found || found.error().code != Code::invalid) return found;
  return reader.broken(found.error().message);
}

}  // namespace trainyard::transfer
