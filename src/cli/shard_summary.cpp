// SPDX-License-Identifier: Apache-2.0
#include "cli/shard_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::cli {

namespace {

constexpr size_t kMaxSizes = 65'536;
constexpr uint64_t kLargeShardBytes = 1 << 20;
// Below, one shard is read faster than several are opened.
constexpr uint64_t kLargeDataBytes = 64 << 20;
constexpr size_t kFewShards = 8;

}  // namespace

void SizeCounts::add(uint64_t size, uint64_t count) {
  counts_[size >> shift_] += count;
  count_ += count;
  while (counts_.size() > kMaxSizes) coarsen(shift_ + 1);
}

void SizeCounts::coarsen(unsigned shift) {
  std::unordered_map<uint64_t, uint64_t> coarser;
  for (const auto& [size, count] : counts_) coarser[size >> (shift - shift_)] += count;
  counts_ = std::move(coarser);
  shift_ = shift;
}

void SizeCounts::merge(const SizeCounts& other) {
  if (other.shift_ > shift_) coarsen(other.shift_);
  for (const auto& [size, count] : other.counts_) add(size << other.shift_, count);
}

uint64_t SizeCounts::median() const {
  std::vector<std::pair<uint64_t, uint64_t>> sorted(counts_.begin(), counts_.end());
  std::sort(sorted.begin(), sorted.end());
  uint64_t below = 0;
  for (const auto& [size, count] : sorted) {
    below += count;
    if (below * 2 >= count_) return size << shift_;
  }
  return 0;
}

void ShardReader::begin(uint64_t, uint64_t, uint64_t length) {
  length_ = length;
  record_.clear();
}

void ShardReader::data(std::string_view piece) {
  if (length_ <= kMaxRecordBytes) record_ += piece;
}

void ShardReader::end() {
  sizes.add(length_);
  smallest_bytes = is_first_ ? length_ : std::min(smallest_bytes, length_);
  is_first_ = false;
  if (length_ <= kMaxRecordBytes) {
    features.add(record_);
  } else {
    ++too_large;
  }
}

void ShardReader::broken(const transfer::BrokenRecord& record) {
  if (broken_records.size() < kMaxBroken) broken_records.push_back(record);
}

std::string kind_of_file(std::string_view name, std::string_view first_bytes) {
  struct Kind {
    std::string_view start;
    std::string_view name;
  };
  constexpr std::array kKinds = {Kind{"PAR1", "Parquet"},
                                 Kind{"\x89PNG", "PNG image"},
                                 Kind{"\xff\xd8\xff", "JPEG image"},
                                 Kind{"\x1f\x8b\x08", "gzip"},
                                 Kind{"PK\x03\x04", "zip"},
                                 Kind{"\x89HDF", "HDF5"},
                                 Kind{"\x93NUMPY", "NumPy array"},
                                 Kind{"ARROW1", "Arrow"}};
  for (const Kind& kind : kKinds) {
    if (first_bytes.starts_with(kind.start)) return std::string(kind.name);
  }
  name = name.substr(name.rfind('/') + 1);
  size_t dot = name.rfind('.');
  if (dot == name.npos || dot == 0 || name.size() - dot > 12) return "no ending";
  return "*" + to_lower(name.substr(dot));
}

std::vector<std::string> notes_on_shards(std::vector<uint64_t> sizes) {
  std::vector<std::string> notes;
  if (sizes.empty()) return notes;
  std::sort(sizes.begin(), sizes.end());
  uint64_t median = sizes[(sizes.size() - 1) / 2];
  uint64_t total = 0;
  for (uint64_t size : sizes) total += size;
  if (sizes.back() > 2 * median && sizes.back() >= kLargeShardBytes) {
    notes.push_back(
        fmt::format("shards are of very unequal size: the largest has {}, half of them at most {}. "
                    "Whoever reads the largest one, a reader thread or an instance, ends last; the "
                    "job tag trainyard:sharding=bytes gives each instance as many bytes",
                    format_bytes(sizes.back()), format_bytes(median)));
  }
  if (sizes.size() < kFewShards && total >= kLargeDataBytes) {
    notes.push_back(
        fmt::format("{} in {} shard{}: readers that interleave shards, and jobs on several "
                    "instances, do better with {} or more",
                    format_bytes(total), sizes.size(), sizes.size() == 1 ? "" : "s", kFewShards));
  }
  return notes;
}

}  // namespace trainyard::cli
