// SPDX-License-Identifier: Apache-2.0
// What the records of a TFRecord file hold: the features of tf.train.Example, and of
// tf.train.SequenceExample its context and its lists. Reads the wire format of protocol buffers by
// itself.
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::transfer {

struct FeatureSummary {
  // Records in which its values are of that type; of the last one, in which it has none.
  struct Types {
    uint64_t bytes = 0;
    uint64_t floats = 0;
    uint64_t int64s = 0;
    uint64_t none = 0;
  };
  Types types;
  bool is_list = false;  // of a SequenceExample: values are counted in steps
  uint64_t records = 0;  // that have it, with or without values
  uint64_t least_values = 0;
  uint64_t most_values = 0;
  std::vector<std::string> examples;  // of values, distinct, as people read them

  // "int64"; "bytes|int64" where records disagree; "?" where none has a value.
  std::string type() const;
};

class ExampleFeatures {
 public:
  explicit ExampleFeatures(size_t examples_limit) : examples_limit_(examples_limit) {}

  // Counts a record's features. One that is no Example, and be it at its last byte, is only counted
  // as another.
  void add(std::string_view record);
  void merge(const ExampleFeatures& other);

  uint64_t examples() const { return examples_; }
  uint64_t others() const { return others_; }
  // In byte order of the names. Beyond 10,000 names no more are kept.
  const std::map<std::string, FeatureSummary, std::less<>>& features() const { return features_; }
  bool has_more_names() const { return has_more_names_; }

 private:
  // A feature of the record that is read now; views into it.
  struct Found {
    std::string_view name;
    std::string_view feature;  // or FeatureList
    bool is_list = false;
  };

  bool find_features(std::string_view features, bool is_list);
  bool find_in_record(std::string_view record);
  void note(const Found& found);

  size_t examples_limit_;
  uint64_t examples_ = 0;
  uint64_t others_ = 0;
  bool has_more_names_ = false;
  std::map<std::string, FeatureSummary, std::less<>> features_;
  std::vector<Found> found_;
};

// A value of bytes: in quotes where it is text, else its length and first bytes in hex.
std::string shown_bytes(std::string_view bytes);

}  // namespace trainyard::transfer
