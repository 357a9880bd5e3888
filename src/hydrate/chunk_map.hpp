// SPDX-License-Identifier: Apache-2.0
// Which chunks of which files are on disk, in memory that guardian and hydrator share across fork.
// A chunk is marked only after all of its bytes were written, so a killed hydrator leaves at most
// chunks that are fetched again. All functions are thread-safe and without locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/result.hpp"

namespace trainyard::hydrate {

inline constexpr uint64_t kChunkBytes = 1 << 20;

enum class FileStatus : uint8_t {
  lazy,      // chunks may be absent
  complete,  // all there, and its checksum was right or none is known
  failed,    // its bytes are wrong: every read is denied
};

class ChunkMap {
 public:
  static Result<ChunkMap> make(const std::vector<uint64_t>& sizes);
  ChunkMap(ChunkMap&&) noexcept;
  ChunkMap& operator=(ChunkMap&&) = delete;
  ~ChunkMap();

  uint32_t file_count() const { return static_cast<uint32_t>(sizes_.size()); }
  uint64_t size_bytes(uint32_t file) const { return sizes_[file]; }
  uint64_t chunk_count(uint32_t file) const;

  bool is_present(uint32_t file, uint64_t chunk) const;
  void set_present(uint32_t file, uint64_t chunk);
  bool is_whole(uint32_t file) const;  // all chunks are present
  // All of its bytes came, and nobody has compared them with the object's checksum yet. Until that
  // is done no read of the file is answered: a script that reads a whole file never sees wrong
  // bytes of it.
  bool is_to_be_checked(uint32_t file) const;
  // Whether the bytes are all there; those behind the end of the file count as there.
  bool covers(uint32_t file, uint64_t offset, uint64_t length) const;
  // Up to where they are there without a gap: `offset` where the first is missing.
  uint64_t covered_until(uint32_t file, uint64_t offset, uint64_t length) const;

  FileStatus status(uint32_t file) const;
  void set_status(uint32_t file, FileStatus status);

  uint64_t gained() const;               // chunks since the start, of all files
  uint64_t gained(uint32_t file) const;  // chunks that are present

 private:
  ChunkMap(std::vector<uint64_t> sizes, std::vector<uint64_t> first_chunks, uint8_t* memory,
           size_t bytes);
  uint8_t* flag(uint32_t file, uint64_t chunk) const;
  uint8_t* status_byte(uint32_t file) const;
  uint64_t* present(uint32_t file) const;

  std::vector<uint64_t> sizes_;
  std::vector<uint64_t> first_chunks_;
  uint8_t* memory_;  // gained; present per file; status per file; a byte per chunk
  size_t bytes_;
};

}  // namespace trainyard::hydrate
