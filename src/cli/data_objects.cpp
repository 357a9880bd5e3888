// SPDX-License-Identifier: Apache-2.0
#include "cli/data_objects.hpp"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace trainyard::cli {

namespace {

constexpr size_t kPieceBytes = 1 << 20;

// Only what lies below our own data dir: a server's word alone is not enough to open a file.
bool is_below(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  fs::path root = fs::weakly_canonical(folder, error);
  fs::path path = fs::weakly_canonical(file, error);
  if (error || root.empty()) return false;
  auto [end, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return end == root.end();
}

}  // namespace

DataAccess data_access(const Service& service) {
  DataAccess access{service.s3(), {}};
  const std::string& data_dir = service.access().data_dir;
  if (data_dir.empty()) return access;
  auto text = read_file(fs::path(data_dir) / access_file_name());
  auto document = text ? json::parse_object(*text) : Failure(text.error());
  if (!document || json::find_string(*document, "endpoint") != access.s3.endpoint) return access;
  access.s3.is_own_store = true;
  access.data_dir = data_dir;
  return access;
}

void for_each(size_t count, size_t jobs, const transfer::S3Access& access,
              const std::stop_token& stop, const Work& work) {
  std::atomic<size_t> next = 0;
  auto run = [&] {
    transfer::S3Client client(access, stop);
    for (size_t i = next++; i < count && !stop.stop_requested(); i = next++) work(i, client);
  };
  std::vector<std::jthread> threads;
  size_t threads_count = std::min(std::max<size_t>(jobs, 1), count);
  for (size_t i = 0; i < threads_count; ++i) threads.emplace_back(run);
}

Result<> read_object(const DataAccess& access, transfer::S3Client& client,
                     const std::string& bucket, const transfer::ObjectSummary& object,
                     uint64_t offset, uint64_t length, const transfer::OnPiece& on_piece) {
  bool is_here =
      !object.file.empty() && !access.data_dir.empty() && is_below(access.data_dir, object.file);
  if (is_here) {
    if (auto file = open_file(object.file, O_RDONLY | O_NOFOLLOW)) {
      std::vector<char> buffer(std::min<uint64_t>(length, kPieceBytes));
      for (uint64_t end = offset + length; offset < end;) {
        std::span<char> piece(buffer.data(), std::min<uint64_t>(buffer.size(), end - offset));
        size_t count = TRY(read_at(file->get(), piece, offset));
        if (count == 0) {
          return fail(Code::invalid, "the store's file {} ends at byte {} of {}",
                      object.file.string(), offset, object.size);
        }
        TRY(on_piece({buffer.data(), count}));
        offset += count;
      }
      return {};
    }
  }
  return client.read_range({bucket, object.key}, object.etag, offset, length, on_piece);
}

Result<S3Uri> parse_folder(const std::string& text) {
  S3Uri uri = TRY(S3Uri::parse(text));
  if (!uri.key.empty() && !uri.key.ends_with('/')) uri.key += '/';
  return uri;
}

std::string path_below(const S3Uri& folder, const std::string& key) {
  return key.ends_with('/') ? "" : key.substr(folder.key.size());
}

std::string with_commas(uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

}  // namespace trainyard::cli
