// SPDX-License-Identifier: Apache-2.0
#include "pipe/maker.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "pipe/order.hpp"
#include "pipe/record_io.hpp"
#include "transfer/gunzip.hpp"

namespace trainyard::pipe {

namespace {

constexpr size_t kBuffer = 1 << 20;
// Below it a copy is cheaper than a slot of the pipe for each page and a hand-over for each file.
constexpr uint64_t kWorthSplicing = 128 << 10;
constexpr size_t kSpoolInMemory = 16 << 20;

// The object's file, which must have the size that it had.
Result<std::shared_ptr<Fd>> open_source(const Source& source) {
  auto file = std::make_shared<Fd>(TRY(open_file(source.file, O_RDONLY | O_NOFOLLOW)));
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return fail_errno(errno, "reading its file");
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid, "its file is no plain file");
  if (static_cast<uint64_t>(info.st_size) == source.size) return file;
  return fail(Code::conflict, "its file has {} bytes, the object {}", info.st_size, source.size);
}

// Bytes whose count is known when they are all there: in memory, or in a file without a name.
class Spool {
 public:
  explicit Spool(const fs::path& folder) : folder_(folder) {}

  Result<> add(std::string_view bytes) {
    length_ += bytes.size();
    if (length_ >= kRecordIoLimit) {
      return fail(Code::invalid, "it inflates to {} bytes or more, too many for a RecordIO record",
                  kRecordIoLimit);
    }
    memory_ += bytes;
    if (memory_.size() < kSpoolInMemory) return {};
    if (!file_) file_ = std::make_shared<Fd>(TRY(open_file(folder_, O_TMPFILE | O_RDWR, 0600)));
    TRY(write_all(file_->get(), memory_));
    memory_.clear();
    return {};
  }

  uint64_t length() const { return length_; }
  const std::string& memory() const { return memory_; }      // the end
  const std::shared_ptr<Fd>& file() const { return file_; }  // what comes before; may be none

 private:
  fs::path folder_;
  uint64_t length_ = 0;
  std::string memory_;
  std::shared_ptr<Fd> file_;
};

}  // namespace

Maker::Maker(const PipePlan& plan, const PipeChannel& channel, uint64_t ahead_bytes,
             std::stop_token stop, Take take, EmptyPipe empty_pipe)
    : plan_(plan),
      channel_(channel),
      take_(std::move(take)),
      empty_pipe_(std::move(empty_pipe)),
      ahead_bytes_(ahead_bytes),
      stop_(std::move(stop)),
      clients_(plan, stop_) {}

Result<> Maker::make(uint64_t epoch) {
  order_ = order_of(channel_, epoch);
  for (size_t index : order_) {
    for (const Piece& piece : channel_.entries[index]) TRY(put(piece));
  }
  return flush();
}

Result<> Maker::put(const Piece& piece) {
  if (piece.object) {
    reached_ = 0;
    auto done = put_object(*piece.object);
    if (done || done.error().code == Code::cancelled) return done;
    return Failure(std::move(done).error().within(
        fmt::format("{} at byte {}", piece.object->uri.text(), reached_)));
  }
  if (!channel_.is_record_io) return put_bytes(piece.bytes);
  TRY(put_bytes(record_io_header(piece.bytes.size())));
  TRY(put_bytes(piece.bytes));
  return put_bytes(record_io_padding(piece.bytes.size()));
}

Result<> Maker::put_object(const Source& source) {
  auto take = [this](std::string_view bytes) { return put_bytes(bytes); };
  if (channel_.is_gzip) {
    return channel_.is_record_io ? put_inflated_record(source) : read_inflated(source, take);
  }
  if (channel_.is_record_io) TRY(put_bytes(record_io_header(source.size)));
  TRY(source.file.empty() ? put_remote(source) : put_file(source));
  return channel_.is_record_io ? put_bytes(record_io_padding(source.size)) : Result<>();
}

Result<> Maker::put_inflated_record(const Source& source) {
  Spool spool(plan_.state);
  TRY(read_inflated(source, [&](std::string_view bytes) { return spool.add(bytes); }));
  TRY(put_bytes(record_io_header(spool.length())));
  if (spool.file()) {
    TRY(put_whole(
        FileRange{spool.file(), 0, spool.length() - spool.memory().size(), source.uri.text()}));
  }
  TRY(put_bytes(spool.memory()));
  return put_bytes(record_io_padding(spool.length()));
}

Result<> Maker::put_file(const Source& source) {
  if (source.size < kWorthSplicing) {
    return read(source, [this](std::string_view bytes) { return put_bytes(bytes); });
  }
  return put_whole(FileRange{TRY(open_source(source)), 0, source.size, source.uri.text()});
}

Result<> Maker::put_remote(const Source& source) {
  auto take = [this](std::string_view bytes) { return put_bytes(bytes); };
  if (source.size == 0 || Ahead::is_for(source)) return read(source, take);
  auto take_piece = [&](std::string_view bytes) -> Result<> {
    TRY(put_bytes(bytes));
    reached_ += bytes.size();
    return {};
  };
  auto take_pages = [&](transfer::PagePipe filled) -> Result<> {
    size_t count = filled.size();
    TRY(put_whole(std::move(filled)));
    reached_ += count;
    return {};
  };
  transfer::PageTaker pages{empty_pipe_, take_pages};
  return clients_.of(source.uri.bucket)
      .read_object(source.uri, source.etag, source.size, take_piece, &pages);
}

Result<> Maker::put_whole(Segment segment) {
  TRY(flush());
  buffer_ = TRY(take_(std::move(segment)));
  buffer_.clear();
  return {};
}

Result<> Maker::put_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    if (buffer_.capacity() < kBuffer) buffer_.reserve(kBuffer);
    size_t count = std::min(bytes.size(), kBuffer - buffer_.size());
    buffer_ += bytes.substr(0, count);
    bytes.remove_prefix(count);
    if (buffer_.size() == kBuffer) TRY(flush());
  }
  return {};
}

Result<> Maker::flush() {
  if (buffer_.empty()) return {};
  buffer_ = TRY(take_(std::exchange(buffer_, {})));
  buffer_.clear();
  return {};
}

Result<> Maker::read_ahead(const transfer::OnPiece& on_piece) {
  if (!ahead_) ahead_.emplace(plan_, channel_, order_, ahead_bytes_, stop_);
  Ahead::Fetched fetched = ahead_->next(std::move(spare_));
  if (!fetched.outcome) {
    reached_ = fetched.bytes.size();
    return fetched.outcome;
  }
  TRY(on_piece(fetched.bytes));
  spare_ = std::move(fetched.bytes);
  return {};
}

Result<> Maker::read(const Source& source, const transfer::OnPiece& on_piece) {
  if (source.size == 0) return {};
  auto take = [&](std::string_view piece) -> Result<> {
    TRY(on_piece(piece));
    reached_ += piece.size();
    return {};
  };
  if (Ahead::is_for(source)) return read_ahead(take);
  if (source.file.empty()) {
    return clients_.of(source.uri.bucket).read_object(source.uri, source.etag, source.size, take);
  }
  auto file = TRY(open_source(source));
  std::vector<char> chunk(std::min<uint64_t>(kBuffer, source.size));
  while (reached_ < source.size) {
    size_t count = TRY(read_at(file->get(), chunk, reached_));
    if (count == 0) return fail(Code::conflict, "its file ends here");
    TRY(take({chunk.data(), count}));
  }
  return {};
}

Result<> Maker::read_inflated(const Source& source, const transfer::OnPiece& on_piece) {
  transfer::Gunzip gunzip;
  TRY(read(source, [&](std::string_view bytes) { return gunzip.add(bytes, on_piece); }));
  return gunzip.finish();
}

}  // namespace trainyard::pipe
