// SPDX-License-Identifier: Apache-2.0
#include "transfer/example_features.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kMaxNames = 10'000;
constexpr size_t kShownBytes = 40;
constexpr size_t kShownHexBytes = 8;

enum class Wire : unsigned { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// The fields of one message, in order.
// https://protobuf.dev/programming-guides/encoding/
class Fields {
 public:
  explicit Fields(std::string_view message) : left_(message) {}

  bool next() {
    if (left_.empty() || !is_good_) return false;
    auto tag = varint();
    if (!tag || *tag >> 3 == 0 || *tag >> 32 != 0) return spoil();
    number = static_cast<unsigned>(*tag >> 3);
    switch (*tag & 7) {
      case 0: {
        auto value = varint();
        integer = value.value_or(0);
        wire = Wire::varint;
        return value || spoil();
      }
      case 1:
        wire = Wire::fixed64;
        return take(8);
      case 2: {
        wire = Wire::bytes;
        auto length = varint();
        return length ? take(*length) : spoil();
      }
      case 5:
        wire = Wire::fixed32;
        return take(4);
      default:
        return spoil();
    }
  }

  bool is_good() const { return is_good_; }  // false: it is no message

  unsigned number = 0;
  Wire wire = Wire::varint;
  uint64_t integer = 0;    // of a varint
  std::string_view bytes;  // of the others

  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !left_.empty(); shift += 7) {
      auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

 private:
  bool take(uint64_t length) {
    if (length > left_.size()) return spoil();
    bytes = left_.substr(0, length);
    left_.remove_prefix(length);
    return true;
  }
  bool spoil() {
    is_good_ = false;
    return false;
  }

  std::string_view left_;
  bool is_good_ = true;
};

enum class Kind { none, bytes = 1, floats = 2, int64s = 3 };  // as Feature numbers them

// The values of one Feature.
struct Values {
  Kind kind = Kind::none;
  uint64_t count = 0;
  std::vector<std::string> shown;
};

std::string shown_float(std::string_view bytes) {
  float value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return fmt::format("{}", value);
}

// Values of one field: `packed` ones, or a single one.
bool read_values(const Fields& field, size_t limit, Values& values) {
  bool wants_shown = values.shown.size() < limit;
  if (values.kind == Kind::bytes) {
    if (field.wire != Wire::bytes) return false;
    ++values.count;
    if (wants_shown) values.shown.push_back(shown_bytes(field.bytes));
    return true;
  }
  if (values.kind == Kind::floats) {
    if (field.wire != Wire::bytes && field.wire != Wire::fixed32) return false;
    if (field.bytes.size() % 4 != 0) return false;
    for (size_t i = 0; i < field.bytes.size() && values.shown.size() < limit; i += 4) {
      values.shown.push_back(shown_float(field.bytes.substr(i, 4)));
    }
    values.count += field.bytes.size() / 4;
    return true;
  }
  if (field.wire == Wire::varint) {
    ++values.count;
    if (wants_shown) values.shown.push_back(std::to_string(static_cast<int64_t>(field.integer)));
    return true;
  }
  if (field.wire != Wire::bytes) return false;
  Fields packed(field.bytes);
  for (size_t i = 0; values.shown.size() < limit && i < limit; ++i) {
    auto value = packed.varint();
    if (!value) break;
    values.shown.push_back(std::to_string(static_cast<int64_t>(*value)));
  }
  if (!field.bytes.empty() && static_cast<unsigned char>(field.bytes.back()) >= 0x80) return false;
  auto ends = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  values.count +=
      static_cast<uint64_t>(std::count_if(field.bytes.begin(), field.bytes.end(), ends));
  return true;
}

bool read_feature(std::string_view feature, size_t limit, Values& values) {
  Fields fields(feature);
  while (fields.next()) {
    if (fields.number > 3 || fields.wire != Wire::bytes) return false;
    values.kind = static_cast<Kind>(fields.number);
    Fields list(fields.bytes);
    while (list.next()) {
      if (list.number != 1 || !read_values(list, limit, values)) return false;
    }
    if (!list.is_good()) return false;
  }
  return fields.is_good();
}

// A FeatureList: as many values as steps.
bool read_feature_list(std::string_view list, size_t limit, Values& values) {
  Fields fields(list);
  uint64_t steps = 0;
  while (fields.next()) {
    if (fields.number != 1 || fields.wire != Wire::bytes) return false;
    if (!read_feature(fields.bytes, limit, values)) return false;
    ++steps;
  }
  values.count = steps;
  return fields.is_good();
}

bool is_printable(std::string_view text) {
  return is_valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

}  // namespace

std::string shown_bytes(std::string_view bytes) {
  if (!is_printable(bytes)) {
    return fmt::format("<{} bytes: {}{}>", bytes.size(), to_hex(bytes.substr(0, kShownHexBytes)),
                       bytes.size() > kShownHexBytes ? "…" : "");
  }
  return "\"" + cut_middle(bytes, kShownBytes) + "\"";
}

std::string FeatureSummary::type() const {
  std::string text;
  auto add = [&](uint64_t count, std::string_view name) {
    if (count > 0) text += (text.empty() ? "" : "|") + std::string(name);
  };
  add(types.bytes, "bytes");
  add(types.floats, "float");
  add(types.int64s, "int64");
  return text.empty() ? "?" : text;
}

// Features, or FeatureLists: a map, whose entries are messages of key 1 and value 2.
bool ExampleFeatures::find_features(std::string_view features, bool is_list) {
  Fields entries(features);
  while (entries.next()) {
    if (entries.number != 1 || entries.wire != Wire::bytes) return false;
    Found found{{}, {}, is_list};
    Fields entry(entries.bytes);
    while (entry.next()) {
      if (entry.number > 2 || entry.wire != Wire::bytes) return false;
      (entry.number == 1 ? found.name : found.feature) = entry.bytes;
    }
    if (!entry.is_good() || !is_valid_utf8(found.name)) return false;
    Values values;
    bool is_good = is_list ? read_feature_list(found.feature, 0, values)
                           : read_feature(found.feature, 0, values);
    if (!is_good) return false;
    found_.push_back(found);
  }
  return entries.is_good();
}

// Example.features and SequenceExample.context have the same number.
bool ExampleFeatures::find_in_record(std::string_view record) {
  Fields fields(record);
  while (fields.next()) {
    if (fields.number > 2 || fields.wire != Wire::bytes) return false;
    if (!find_features(fields.bytes, fields.number == 2)) return false;
  }
  return fields.is_good();
}

void ExampleFeatures::add(std::string_view record) {
  found_.clear();
  if (!find_in_record(record)) {
    ++others_;
    return;
  }
  ++examples_;
  for (const Found& found : found_) note(found);
}

void ExampleFeatures::note(const Found& found) {
  auto at = features_.find(found.name);
  if (at == features_.end()) {
    if (features_.size() == kMaxNames) {
      has_more_names_ = true;
      return;
    }
    at = features_.emplace(found.name, FeatureSummary{}).first;
  }
  FeatureSummary& feature = at->second;
  bool wants_examples = feature.examples.size() < examples_limit_;
  Values values;
  size_t limit = wants_examples ? examples_limit_ : 0;
  if (found.is_list) {
    feature.is_list = true;
    static_cast<void>(read_feature_list(found.feature, limit, values));
  } else {
    static_cast<void>(read_feature(found.feature, limit, values));
  }
  bool is_first = feature.records++ == 0;
  feature.least_values = is_first ? values.count : std::min(feature.least_values, values.count);
  feature.most_values = std::max(feature.most_values, values.count);
  if (values.count == 0 || values.kind == Kind::none) ++feature.types.none;
  if (values.kind == Kind::bytes) ++feature.types.bytes;
  if (values.kind == Kind::floats) ++feature.types.floats;
  if (values.kind == Kind::int64s) ++feature.types.int64s;
  for (std::string& shown : values.shown) {
    auto& examples = feature.examples;
    bool is_new = std::find(examples.begin(), examples.end(), shown) == examples.end();
    if (is_new && examples.size() < examples_limit_) examples.push_back(std::move(shown));
  }
}

void ExampleFeatures::merge(const ExampleFeatures& other) {
  examples_ += other.examples_;
  others_ += other.others_;
  has_more_names_ |= other.has_more_names_;
  for (const auto& [name, theirs] : other.features_) {
    auto at = features_.find(name);
    if (at == features_.end()) {
      if (features_.size() == kMaxNames) {
        has_more_names_ = true;
        continue;
      }
      features_.emplace(name, theirs);
      continue;
    }
    FeatureSummary& ours = at->second;
    ours.types.bytes += theirs.types.bytes;
    ours.types.floats += theirs.types.floats;
    ours.types.int64s += theirs.types.int64s;
    ours.types.none += theirs.types.none;
    ours.is_list |= theirs.is_list;
    ours.records += theirs.records;
    ours.least_values = std::min(ours.least_values, theirs.least_values);
    ours.most_values = std::max(ours.most_values, theirs.most_values);
    for (const std::string& shown : theirs.examples) {
      bool is_new =
          std::find(ours.examples.begin(), ours.examples.end(), shown) == ours.examples.end();
      if (is_new && ours.examples.size() < examples_limit_) ours.examples.push_back(shown);
    }
  }
}

}  // namespace trainyard::transfer
