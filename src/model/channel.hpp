// SPDX-License-Identifier: Apache-2.0
// A named input of a training job (CreateTrainingJob, InputDataConfig).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

enum class InputMode { file, fast_file, pipe };
enum class S3DataType { prefix, manifest, augmented_manifest };
enum class Distribution { fully_replicated, sharded_by_key };

struct Channel {
  std::string name;
  std::string s3_uri;
  S3DataType data_type = S3DataType::prefix;
  Distribution distribution = Distribution::fully_replicated;
  InputMode input_mode = InputMode::file;
  std::string content_type;   // empty: not given
  bool is_gzip = false;       // CompressionType Gzip
  bool is_record_io = false;  // RecordWrapperType RecordIO
  std::optional<int64_t> shuffle_seed;
  std::vector<std::string> attribute_names;  // of an augmented manifest, in the script's order
  std::vector<std::string> instance_groups;  // for their hosts alone; empty: for all
};

// The words of the API: "File", "S3Prefix", "FullyReplicated", …
std::string_view api_name(InputMode mode);
std::string_view api_name(S3DataType type);
std::string_view api_name(Distribution distribution);
std::optional<InputMode> parse_input_mode(std::string_view api_name);
std::optional<S3DataType> parse_data_type(std::string_view api_name);
std::optional<Distribution> parse_distribution(std::string_view api_name);

}  // namespace trainyard
