// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>

#include "base/text.hpp"
#include "cli/data_commands.hpp"
#include "cli/data_objects.hpp"
#include "cli/interrupt.hpp"
#include "cli/local_tree.hpp"
#include "cli/shard_summary.hpp"

namespace trainyard::cli {

namespace {

using transfer::ObjectSummary;
using transfer::S3Client;

constexpr uint64_t kFirstBytes = 64 << 10;  // tell what a file is
constexpr size_t kMaxShownShards = 50;

// Of one object, without what is added up over all of them.
struct Shard {
  std::string key;
  uint64_t size = 0;
  transfer::RecordVerdict verdict;
  uint64_t smallest_bytes = 0;
  uint64_t median_bytes = 0;
  std::vector<transfer::BrokenRecord> broken;
  std::string other_kind;  // where it is no TFRecord file
  std::string error;       // where it could not be read
  bool is_misnamed = false;
  bool is_tfrecord() const { return verdict.is_tfrecord; }
};

struct Total {
  explicit Total(size_t examples) : features(examples) {}
  SizeCounts sizes;
  uint64_t too_large = 0;
  transfer::ExampleFeatures features;
  // Shards that are done before one in front of them: features are merged in the shards' order, so
  // that the same data always show the same examples.
  std::map<size_t, transfer::ExampleFeatures> waiting;
  size_t next = 0;

  void add(size_t index, ShardReader& reader) {
    sizes.merge(reader.sizes);
    too_large += reader.too_large;
    waiting.emplace(index, std::move(reader.features));
    for (auto at = waiting.find(next); at != waiting.end(); at = waiting.find(++next)) {
      features.merge(at->second);
      waiting.erase(at);
    }
  }
};

class Inspection {
 public:
  Inspection(Service& service, const InspectOptions& options, S3Uri prefix)
      : options_(options),
        prefix_(std::move(prefix)),
        access_(data_access(service)),
        total_(Total(options.examples)) {}

  Result<int> run() {
    S3Client client(access_.s3, interrupt_.token());
    auto objects = TRY(client.list(prefix_));
    std::erase_if(objects, [](const ObjectSummary& object) { return object.key.ends_with('/'); });
    if (objects.empty()) return fail(Code::not_found, "nothing is under {}", prefix_.text());
    uint64_t bytes = 0;
    for (const ObjectSummary& object : objects) bytes += object.size;
    shards_.resize(objects.size());
    {
      SharedProgress progress("Inspecting", bytes);
      for_each(objects.size(), options_.jobs, access_.s3, interrupt_.token(),
               [&](size_t i, S3Client& own) { inspect(own, objects[i], i, progress); });
    }
    if (interrupt_.has_come()) return Interrupt::kExitStatus;
    return 0;
  }

  const S3Uri& prefix() const { return prefix_; }
  const std::vector<Shard>& shards() const { return shards_; }
  template <class Function>
  void with_total(Function&& function) {
    total_.with(std::forward<Function>(function));
  }

 private:
  void inspect(S3Client& client, const ObjectSummary& object, size_t index,
               SharedProgress& progress) {
    Shard& shard = shards_[index];
    shard.key = object.key;
    shard.size = object.size;
    ShardReader reader(options_.examples);
    auto read = scan(client, object, reader, shard, progress);
    if (!read) shard.error = read.error().message;
    shard.smallest_bytes = reader.smallest_bytes;
    shard.median_bytes = reader.sizes.median();
    shard.broken = std::move(reader.broken_records);
    total_.with([&](Total& total) { total.add(index, reader); });
  }

  Result<> scan(S3Client& client, const ObjectSummary& object, ShardReader& reader, Shard& shard,
                SharedProgress& progress) {
    transfer::RecordScanner scanner(&reader);
    std::string first;
    auto take = [&](std::string_view piece) -> Result<> {
      if (first.size() < 16) first += piece.substr(0, 16);
      scanner.add(piece);
      progress.add(piece.size());
      return {};
    };
    uint64_t start = std::min(object.size, kFirstBytes);
    TRY(read_object(access_, client, prefix_.bucket, object, 0, start, take));
    if (scanner.wants_more() && object.size > start) {
      TRY(read_object(access_, client, prefix_.bucket, object, start, object.size - start, take));
    } else {
      progress.add(object.size - start);
    }
    shard.verdict = scanner.finish();
    if (shard.is_tfrecord()) return {};
    shard.other_kind = object.size == 0 ? "empty" : kind_of_file(object.key, first);
    shard.is_misnamed = object.size > 0 && transfer::has_record_name(object.key);
    return {};
  }

  const InspectOptions& options_;
  S3Uri prefix_;
  Interrupt interrupt_;
  DataAccess access_;
  std::vector<Shard> shards_;  // each is written by one thread
  Guarded<Total> total_;
};

// The numbers over all shards.
struct Sums {
  uint64_t shards = 0;
  uint64_t bytes = 0;
  uint64_t records = 0;
  uint64_t payload_bytes = 0;
  uint64_t smallest_bytes = 0;
  uint64_t largest_bytes = 0;
  uint64_t broken_records = 0;
  uint64_t unreadable = 0;
  std::map<std::string_view, uint64_t> compressions;
  std::map<std::string, std::pair<uint64_t, uint64_t>> others;  // kind: objects, bytes
  std::vector<uint64_t> sizes;
};

Sums sums_of(const std::vector<Shard>& shards) {
  Sums sums;
  for (const Shard& shard : shards) {
    if (!shard.error.empty()) ++sums.unreadable;
    if (!shard.is_tfrecord()) {
      if (!shard.error.empty()) continue;
      auto& [count, bytes] = sums.others[shard.other_kind];
      ++count;
      bytes += shard.size;
      continue;
    }
    bool is_first = sums.records == 0;
    if (shard.verdict.records > 0) {
      sums.smallest_bytes =
          is_first ? shard.smallest_bytes : std::min(sums.smallest_bytes, shard.smallest_bytes);
    }
    ++sums.shards;
    sums.bytes += shard.size;
    sums.records += shard.verdict.records;
    sums.payload_bytes += shard.verdict.payload_bytes;
    sums.largest_bytes = std::max(sums.largest_bytes, shard.verdict.largest_bytes);
    sums.broken_records += shard.verdict.broken_records;
    ++sums.compressions[transfer::name(shard.verdict.compression)];
    sums.sizes.push_back(shard.size);
  }
  return sums;
}

json::object to_json(const transfer::BrokenRecord& broken) {
  return {{"record", broken.index}, {"byte", broken.offset}, {"what", broken.what}};
}

json::object to_json(const Shard& shard) {
  json::object document{{"key", shard.key}, {"bytes", shard.size}};
  if (!shard.error.empty()) document["error"] = shard.error;
  if (!shard.is_tfrecord()) {
    if (shard.error.empty()) document["kind"] = shard.other_kind;
    if (shard.is_misnamed) document["is_misnamed"] = true;
    return document;
  }
  document["kind"] = "TFRecord";
  document["compression"] = transfer::name(shard.verdict.compression);
  document["records"] = shard.verdict.records;
  document["payload_bytes"] = shard.verdict.payload_bytes;
  document["smallest"] = shard.smallest_bytes;
  document["median"] = shard.median_bytes;
  document["largest"] = shard.verdict.largest_bytes;
  document["broken_records"] = shard.verdict.broken_records;
  json::array places;
  for (const transfer::BrokenRecord& broken : shard.broken) places.push_back(to_json(broken));
  document["broken"] = std::move(places);
  return document;
}

json::array features_json(const transfer::ExampleFeatures& features) {
  json::array array;
  for (const auto& [name, feature] : features.features()) {
    array.push_back(json::object{{"name", name},
                                 {"type", feature.type()},
                                 {"is_list", feature.is_list},
                                 {"records", feature.records},
                                 {"least_values", feature.least_values},
                                 {"most_values", feature.most_values},
                                 {"examples", json::to_array(feature.examples)}});
  }
  return array;
}

void print_json(const Inspection& inspection, const Sums& sums, const Total& total) {
  json::array objects;
  for (const Shard& shard : inspection.shards()) objects.push_back(to_json(shard));
  json::object document{{"uri", inspection.prefix().text()},
                        {"shards", sums.shards},
                        {"bytes", sums.bytes},
                        {"records", sums.records},
                        {"payload_bytes", sums.payload_bytes},
                        {"smallest", sums.smallest_bytes},
                        {"median", total.sizes.median()},
                        {"largest", sums.largest_bytes},
                        {"broken_records", sums.broken_records},
                        {"examples", total.features.examples()},
                        {"too_large_to_look_into", total.too_large},
                        {"features", features_json(total.features)},
                        {"notes", json::to_array(notes_on_shards(sums.sizes))},
                        {"objects", std::move(objects)}};
  fmt::print("{}\n", json::serialize(document));
}

void print_shards(const Inspection& inspection, const Sums& sums, const Total& total) {
  std::string compression;
  for (const auto& [name, count] : sums.compressions) {
    compression +=
        (compression.empty() ? "" : ", ") +
        (sums.compressions.size() > 1 ? fmt::format("{} x {}", count, name) : std::string(name));
  }
  fmt::print("{}: {} TFRecord shard{}, {} records, {} (compression: {}; {} of data)\n\n",
             inspection.prefix().text(), with_commas(sums.shards), sums.shards == 1 ? "" : "s",
             with_commas(sums.records), format_bytes(sums.bytes), compression,
             format_bytes(sums.payload_bytes));
  fmt::print("{:>12} {:>12} {:>10} {:>10} {:>10}  {}\n", "RECORDS", "SIZE", "SMALLEST", "MEDIAN",
             "LARGEST", "SHARD");
  size_t shown = 0;
  for (const Shard& shard : inspection.shards()) {
    if (!shard.is_tfrecord() || ++shown > kMaxShownShards) continue;
    fmt::print("{:>12} {:>12} {:>10} {:>10} {:>10}  {}\n", with_commas(shard.verdict.records),
               format_bytes(shard.size), shard.smallest_bytes, shard.median_bytes,
               shard.verdict.largest_bytes, shown_name(shard.key));
  }
  if (shown > kMaxShownShards) {
    fmt::print("{:>12} more shards (--json lists all)\n", with_commas(shown - kMaxShownShards));
  }
  fmt::print("{:>12} {:>12} {:>10} {:>10} {:>10}  {}\n", with_commas(sums.records),
             format_bytes(sums.bytes), sums.smallest_bytes, total.sizes.median(),
             sums.largest_bytes, "all");
}

void print_features(const transfer::ExampleFeatures& features) {
  if (features.others() > 0) {
    fmt::print("\n{} records are no tf.train.Example\n", with_commas(features.others()));
  }
  if (features.features().empty()) return;
  size_t width = 7;
  for (const auto& [name, feature] : features.features()) width = std::max(width, name.size());
  width = std::min<size_t>(width, 40);
  fmt::print("\n{:<{}}  {:<6} {:>12} {:>10}  {}\n", "FEATURE", width, "TYPE", "IN RECORDS",
             "VALUES", "EXAMPLES");
  for (const auto& [name, feature] : features.features()) {
    std::string values = feature.least_values == feature.most_values
                             ? std::to_string(feature.most_values)
                             : fmt::format("{}..{}", feature.least_values, feature.most_values);
    std::string examples;
    for (const std::string& example : feature.examples) {
      examples += (examples.empty() ? "" : ", ") + example;
    }
    fmt::print("{:<{}}  {:<6} {:>12} {:>10}  {}\n", shown_name(name), width, feature.type(),
               with_commas(feature.records), feature.is_list ? values + " steps" : values,
               examples);
  }
  if (features.has_more_names()) fmt::print("and more names than are shown here\n");
}

void print_troubles(const Inspection& inspection) {
  const std::string& bucket = inspection.prefix().bucket;
  for (const Shard& shard : inspection.shards()) {
    std::string name = shown_name(S3Uri{bucket, shard.key}.text());
    if (!shard.error.empty()) fmt::print("unreadable: {}: {}\n", name, shard.error);
    if (shard.is_misnamed) {
      fmt::print("note: {} is not a TFRecord file: {}\n", name, shard.verdict.why_not);
    }
    for (const transfer::BrokenRecord& broken : shard.broken) {
      fmt::print("broken: {}: record {}, at byte {}: {}\n", name, broken.index, broken.offset,
                 broken.what);
    }
    if (shard.verdict.broken_records > shard.broken.size()) {
      fmt::print("broken: {}: {} more records\n", name,
                 with_commas(shard.verdict.broken_records - shard.broken.size()));
    }
  }
}

void print_text(const Inspection& inspection, const Sums& sums, const Total& total) {
  if (sums.shards > 0) {
    print_shards(inspection, sums, total);
    print_features(total.features);
    if (total.too_large > 0) {
      fmt::print("\n{} records of more than {} were not looked into\n",
                 with_commas(total.too_large), format_bytes(ShardReader::kMaxRecordBytes));
    }
  } else {
    fmt::print("{}: no TFRecord files\n", inspection.prefix().text());
  }
  if (!sums.others.empty()) fmt::print("\nOTHER FILES\n");
  for (const auto& [kind, numbers] : sums.others) {
    fmt::print("{:>12} {:>12}  {}\n", with_commas(numbers.first), format_bytes(numbers.second),
               kind);
  }
  fmt::print("\n");
  for (const std::string& note : notes_on_shards(sums.sizes)) fmt::print("note: {}\n", note);
  print_troubles(inspection);
}

}  // namespace

Result<int> inspect_data(Service& service, const InspectOptions& options) {
  S3Uri prefix = TRY(S3Uri::parse(options.uri));
  Inspection inspection(service, options, std::move(prefix));
  int status = TRY(inspection.run());
  if (status != 0) return status;
  Sums sums = sums_of(inspection.shards());
  inspection.with_total([&](Total& total) {
    if (options.as_json) {
      print_json(inspection, sums, total);
    } else {
      print_text(inspection, sums, total);
    }
  });
  return sums.broken_records + sums.unreadable > 0 ? 1 : 0;
}

}  // namespace trainyard::cli
