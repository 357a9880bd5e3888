// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "transfer/archive.hpp"
#include "transfer/object_writer.hpp"

namespace trainyard::cli {

namespace {

struct Pair {
  std::string name;
  std::string value;
};

Result<Pair> split_pair(const std::string& text, std::string_view option) {
  size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    return fail(Code::invalid, "{} takes NAME=VALUE, not '{}'", option, text);
  }
  return Pair{text.substr(0, at), text.substr(at + 1)};
}

// "digits-20261124-093027-1a2b" for digits.py
std::string make_job_name(const std::string& script) {
  std::string stem;
  for (char c : fs::path(script).stem().string()) {
    bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (is_plain || (!stem.empty() && !stem.ends_with('-'))) stem += is_plain ? c : '-';
  }
  std::string time = format_amz_date(SystemClock().now());  // 20261124T093027Z
  while (stem.ends_with('-')) stem.pop_back();
  return fmt::format("{}-{}-{}-{}", stem.empty() ? "job" : stem.substr(0, 32), time.substr(0, 8),
                     time.substr(9, 6), random_hex(2));
}

uint64_t size_of(const fs::path& folder) {
  uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file(error) && !entry.is_symlink(error)) total += entry.file_size(error);
  }
  return total;
}

Result<> pack_with_progress(const fs::path& folder, transfer::ObjectWriter& writer) {
  Progress progress("Uploading source", size_of(folder));
  return transfer::pack(
      folder, [&](std::string_view bytes) { return writer.write(bytes); },
      [&](uint64_t bytes) { progress.add(bytes); });
}

// Packs the source folder, or a folder with only the script in it.
Result<> upload_source(Service& service, const TrainOptions& options, const S3Uri& object) {
  fs::path folder = options.source_dir;
  fs::path made;
  if (folder.empty()) {
    made = fs::temp_directory_path() / ("trainyard-source-" + random_hex(8));
    TRY(make_directories(made));
    std::error_code error;
    fs::copy_file(options.script, made / fs::path(options.script).filename(), error);
    if (error) return fail_errno(error.value(), "reading " + options.script);
    folder = made;
  }
  transfer::S3Client client(service.s3());
  transfer::ObjectWriter writer(client, object);
  auto packed = pack_with_progress(folder, writer);
  if (!made.empty()) TRY(remove_tree(made));
  TRY(std::move(packed));
  return writer.finish();
}

Result<std::string> script_name(const TrainOptions& options) {
  fs::path script = options.script;
  fs::path path = options.source_dir.empty() ? script : fs::path(options.source_dir) / script;
  if (::access(path.c_str(), R_OK) != 0) {
    return fail(Code::not_found, "no script {}", path.string());
  }
  return options.source_dir.empty() ? script.filename().string() : script.string();
}

Result<json::array> channels_of(const TrainOptions& options) {
  json::array channels;
  for (const std::string& text : options.channels) {
    Pair pair = TRY(split_pair(text, "--channel"));
    channels.push_back(json::object{
        {"ChannelName", pair.name},
        {"DataSource", json::object{{"S3DataSource", json::object{{"S3DataType", "S3Prefix"},
                                                                  {"S3Uri", pair.value}}}}}});
  }
  return channels;
}

// A hyperparameter as the SDK would send it: JSON where it is JSON, else a JSON string.
std::string encoded(const std::string& value) {
  return json::parse(value) ? value : json::serialize(json::value(json::string(value)));
}

Result<json::object> make_request(const TrainOptions& options, const std::string& name,
                                  const S3Uri& source) {
  json::object hyperparameters;
  for (const std::string& text : options.hyperparameters) {
    Pair pair = TRY(split_pair(text, "--hp"));
    hyperparameters[pair.name] = encoded(pair.value);
  }
  hyperparameters["sagemaker_program"] =
      json::serialize(json::value(json::string(TRY(script_name(options)))));
  hyperparameters["sagemaker_submit_directory"] =
      json::serialize(json::value(json::string(source.text())));
  json::object variables;
  for (const std::string& text : options.variables) {
    Pair pair = TRY(split_pair(text, "--env"));
    variables[pair.name] = pair.value;
  }
  json::object request{
      {"TrainingJobName", name},
      {"RoleArn", "arn:aws:iam::123456789012:role/trainyard"},
      {"AlgorithmSpecification",
       json::object{{"TrainingImage", options.image}, {"TrainingInputMode", "File"}}},
      {"OutputDataConfig", json::object{{"S3OutputPath", "s3://" + source.bucket}}},
      {"ResourceConfig",
       json::object{
           {"InstanceType", "ml.m5.xlarge"}, {"InstanceCount", 1}, {"VolumeSizeInGB", 30}}},
      {"StoppingCondition", json::object{{"MaxRuntimeInSeconds", options.max_runtime_seconds}}},
      {"HyperParameters", std::move(hyperparameters)},
      {"Environment", std::move(variables)}};
  auto channels = TRY(channels_of(options));
  if (!channels.empty()) request["InputDataConfig"] = std::move(channels);
  return request;
}

int exit_status_of(std::string_view status) {
  if (status == "Completed") return 0;
  return status == "Stopped" ? 2 : 1;
}

}  // namespace

Result<int> train(Service& service, const TrainOptions& options) {
  std::string name = options.name.empty() ? make_job_name(options.script) : options.name;
  std::string bucket =
      options.bucket.empty() ? "trainyard-" + service.access().region : options.bucket;
  S3Uri source{bucket, name + "/source/sourcedir.tar.gz"};
  auto request = TRY(make_request(options, name, source));
  transfer::S3Client client(service.s3());
  TRY(client.create_bucket(bucket));
  TRY(upload_source(service, options, source));
  TRY(service.call("sagemaker", "SageMaker.CreateTrainingJob", request));
  fmt::print(stderr, "training job {}\n", name);
  if (options.is_detached) {
    if (options.as_json) {
      fmt::print("{}\n", json::serialize(json::object{{"TrainingJobName", name}}));
    }
    return 0;
  }
  std::string status = TRY(follow_job(service, name));
  TRY(describe_job(service, name, options.as_json));
  return exit_status_of(status);
}

}  // namespace trainyard::cli
