// SPDX-License-Identifier: Apache-2.0
// What `trainyard data inspect` learns from one object, and from all of them.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "transfer/example_features.hpp"
#include "transfer/record_scanner.hpp"

namespace trainyard::cli {

// Counts sizes in bounded memory: exact up to 65,536 different ones, then rounded down, the finer
// the smaller the largest of them is.
class SizeCounts {
 public:
  void add(uint64_t size, uint64_t count = 1);
  void merge(const SizeCounts& other);
  uint64_t median() const;  // the lower one of two; 0 where there is none
  bool is_exact() const { return shift_ == 0; }

 private:
  void coarsen(unsigned shift);

  unsigned shift_ = 0;
  uint64_t count_ = 0;
  std::unordered_map<uint64_t, uint64_t> counts_;  // by size >> shift_
};

// Sees a shard's records. Holds one record of at most 16 MiB; the features of larger ones are not
// looked at.
class ShardReader : public transfer::RecordSink {
 public:
  static constexpr uint64_t kMaxRecordBytes = 16 << 20;
  static constexpr size_t kMaxBroken = 10;

  explicit ShardReader(size_t examples_limit) : features(examples_limit) {}

  void begin(uint64_t index, uint64_t offset, uint64_t length) override;
  void data(std::string_view piece) override;
  void end() override;
  void broken(const transfer::BrokenRecord& record) override;

  transfer::ExampleFeatures features;
  SizeCounts sizes;
  uint64_t smallest_bytes = 0;
  uint64_t too_large = 0;                              // records whose features were not looked at
  std::vector<transfer::BrokenRecord> broken_records;  // the first ones

 private:
  uint64_t length_ = 0;
  std::string record_;
  bool is_first_ = true;
};

// What a file that is no TFRecord file seems to be: "Parquet", "PNG image", "*.csv", "no ending".
std::string kind_of_file(std::string_view name, std::string_view first_bytes);

// Advice on how the shards are cut; sizes in bytes of the objects.
std::vector<std::string> notes_on_shards(std::vector<uint64_t> sizes);

}  // namespace trainyard::cli
