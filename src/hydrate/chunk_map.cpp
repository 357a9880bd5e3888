// SPDX-License-Identifier: Apache-2.0
#include "hydrate/chunk_map.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.hpp"

namespace trainyard::hydrate {

namespace {

uint64_t chunks_of(uint64_t size) {
  return size / kChunkBytes + (size % kChunkBytes == 0 ? 0 : 1);
}

}  // namespace

Result<ChunkMap> ChunkMap::make(const std::vector<uint64_t>& sizes) {
  std::vector<uint64_t> first_chunks;
  uint64_t total = 0;
  for (uint64_t size : sizes) {
    first_chunks.push_back(total);
    total += chunks_of(size);
  }
  size_t bytes = sizeof(uint64_t) * (1 + sizes.size()) + sizes.size() + total;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "mapping memory for the chunk map");
  return ChunkMap(sizes, std::move(first_chunks), static_cast<uint8_t*>(memory), bytes);
}

ChunkMap::ChunkMap(std::vector<uint64_t> sizes, std::vector<uint64_t> first_chunks, uint8_t* memory,
                   size_t bytes)
    : sizes_(std::move(sizes)),
      first_chunks_(std::move(first_chunks)),
      memory_(memory),
      bytes_(bytes) {}

ChunkMap::ChunkMap(ChunkMap&& other) noexcept
    : sizes_(std::move(other.sizes_)),
      first_chunks_(std::move(other.first_chunks_)),
      memory_(std::exchange(other.memory_, nullptr)),
      bytes_(other.bytes_) {}

ChunkMap::~ChunkMap() {
  if (memory_ != nullptr) ::munmap(memory_, bytes_);
}

uint64_t* ChunkMap::present(uint32_t file) const {
  return reinterpret_cast<uint64_t*>(memory_) + 1 + file;
}

uint8_t* ChunkMap::status_byte(uint32_t file) const {
  return memory_ + sizeof(uint64_t) * (1 + sizes_.size()) + file;
}

uint8_t* ChunkMap::flag(uint32_t file, uint64_t chunk) const {
  CHECK(file < sizes_.size() && chunk < chunk_count(file), "a chunk of one of the files");
  return status_byte(0) + sizes_.size() + first_chunks_[file] + chunk;
}

uint64_t ChunkMap::chunk_count(uint32_t file) const {
  return chunks_of(sizes_[file]);
}

bool ChunkMap::is_present(uint32_t file, uint64_t chunk) const {
  return std::atomic_ref(*flag(file, chunk)).load() != 0;
}

void ChunkMap::set_present(uint32_t file, uint64_t chunk) {
  if (std::atomic_ref(*flag(file, chunk)).exchange(1) != 0) return;
  std::atomic_ref(*present(file)).fetch_add(1);
  std::atomic_ref(*reinterpret_cast<uint64_t*>(memory_)).fetch_add(1);
}

bool ChunkMap::is_whole(uint32_t file) const {
  // The flags themselves: a hydrator may die between a flag and its count.
  uint64_t count = chunk_count(file);
  for (uint64_t chunk = 0; chunk < count; ++chunk) {
    if (!is_present(file, chunk)) return false;
  }
  return true;
}

bool ChunkMap::is_to_be_checked(uint32_t file) const {
  return status(file) == FileStatus::lazy && is_whole(file);
}

uint64_t ChunkMap::covered_until(uint32_t file, uint64_t offset, uint64_t length) const {
  uint64_t size = sizes_[file];
  if (offset >= size) return offset + std::min(length, UINT64_MAX - offset);
  uint64_t end = offset + std::min(length, size - offset);
  while (offset < end && is_present(file, offset / kChunkBytes)) {
    offset = std::min(end, (offset / kChunkBytes + 1) * kChunkBytes);
  }
  return offset;
}

bool ChunkMap::covers(uint32_t file, uint64_t offset, uint64_t length) const {
  uint64_t size = sizes_[file];
  if (length == 0 || offset >= size) return true;
  uint64_t wanted = std::min(length, size - offset);
  return covered_until(file, offset, wanted) == offset + wanted;
}

FileStatus ChunkMap::status(uint32_t file) const {
  return static_cast<FileStatus>(std::atomic_ref(*status_byte(file)).load());
}

void ChunkMap::set_status(uint32_t file, FileStatus status) {
  std::atomic_ref(*status_byte(file)).store(static_cast<uint8_t>(status));
}

uint64_t ChunkMap::gained() const {
  return std::atomic_ref(*reinterpret_cast<uint64_t*>(memory_)).load();
}

uint64_t ChunkMap::gained(uint32_t file) const {
  return std::atomic_ref(*present(file)).load();
}

}  // namespace trainyard::hydrate
