// SPDX-License-Identifier: Apache-2.0
// How fast parts are stored and joined: upload_probe FOLDER PARTS PART_MIB WRITERS [own] [opaque]
// Prints seconds as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "objects/object_store.hpp"

namespace {

using namespace trainyard;

class RepeatedBody : public http::Body {
 public:
  RepeatedBody(const std::string& bytes, uint64_t size) : bytes_(bytes), size_(size) {}
  Result<size_t> read(std::span<char> buffer) override {
    size_t at = position_ % bytes_.size();
    size_t count = std::min({buffer.size(), bytes_.size() - at, size_ - position_});
    std::copy_n(bytes_.data() + at, count, buffer.data());
    position_ += count;
    return count;
  }
  std::optional<uint64_t> length() const override { return size_; }

 private:
  const std::string& bytes_;
  const size_t size_;
  size_t position_ = 0;
};

struct Work {
  int parts;
  size_t part_bytes;
  int writers;
  objects::PartFile file;
  bool is_opaque;
};

objects::Claims claims_of(const Work& work, const std::string& bytes) {
  objects::Claims claims;
  if (!work.is_opaque) return claims;
  auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
  for (size_t i = 0; i < work.part_bytes / bytes.size(); ++i) digest->add(bytes);
  claims.algorithm = objects::ChecksumAlgorithm::crc64nvme;
  claims.checksum = to_base64(digest->finish());
  claims.is_etag_opaque = true;
  return claims;
}

std::vector<objects::PartChoice> send(objects::ObjectStore& store, const std::string& id,
                                      const Work& work) {
  std::string bytes(1 << 20, 'x');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13);
  auto claims = claims_of(work, bytes);
  std::vector<objects::PartChoice> parts(static_cast<size_t>(work.parts));
  std::atomic<int> next = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < work.writers; ++i) {
    threads.emplace_back([&] {
      for (int part = next++; part < work.parts; part = next++) {
        RepeatedBody body(bytes, work.part_bytes);
        auto sent = store.put_part("probe", "key", id, part + 1, body, claims, work.file).value();
        parts[static_cast<size_t>(part)] = {part + 1, sent.etag};
      }
    });
  }
  threads.clear();  // joins
  return parts;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) return 2;
  std::set<std::string> options(arguments + 5, arguments + count);
  Work work{std::atoi(arguments[2]), static_cast<size_t>(std::atoi(arguments[3])) << 20,
            std::atoi(arguments[4]),
            options.count("own") > 0 ? objects::PartFile::own : objects::PartFile::any,
            options.count("opaque") > 0};
  SystemClock clock;
  if (!make_directories(arguments[1])) return 1;
  auto store = objects::ObjectStore::open(arguments[1], clock).value();
  static_cast<void>(store->create_bucket("probe"));
  std::string id = store->begin_upload("probe", "key", {}).value().id;
  auto now = [] { return std::chrono::steady_clock::now(); };
  auto seconds = [](auto span) { return std::chrono::duration<double>(span).count(); };
  auto begun = now();
  objects::Completion completion;
  completion.parts = send(*store, id, work);
  auto sent = now();
  auto object = store->complete_upload("probe", "key", id, completion).value();
  auto done = now();
  fmt::print("{{\"parts_s\": {:.3f}, \"complete_s\": {:.4f}, \"bytes\": {}}}\n",
             seconds(sent - begun), seconds(done - sent), object.size);
}
