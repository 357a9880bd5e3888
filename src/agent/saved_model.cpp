// SPDX-License-Identifier: Apache-2.0
#include "agent/saved_model.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace trainyard::agent {

namespace {

bool is_number(const std::string& name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::vector<std::string> saved_model_warnings(const fs::path& folder, const std::string& shown) {
  std::vector<std::string> warnings;
  bool has_files = false;
  bool has_model = false;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory(error)) continue;
    has_files = true;
    if (entry->path().filename().string().find("saved_model.pb") == std::string::npos) continue;
    has_model = true;
    fs::path parent = entry->path().parent_path();
    std::string name = parent == folder ? fs::path(shown).filename() : parent.filename();
    if (is_number(name)) continue;
    warnings.push_back(fmt::format(
        "Your model will NOT be servable with SageMaker TensorFlow Serving containers. The "
        "SavedModel bundle is under directory \"{}\", not a numeric name.",
        name));
  }
  if (!has_files) {
    warnings.push_back(fmt::format(
        "No model artifact is saved under path {}. Your training job will not save any model files "
        "to S3.\nFor details of how to construct your training script see:\n"
        "https://sagemaker.readthedocs.io/en/stable/using_tf.html#adapting-your-local-tensorflow-"
        "script",
        shown));
  } else if (!has_model) {
    warnings.push_back(
        "Your model will NOT be servable with SageMaker TensorFlow Serving container. The model "
        "artifact was not saved in the TensorFlow SavedModel directory structure:\n"
        "https://www.tensorflow.org/guide/saved_model#structure_of_a_savedmodel_directory");
  }
  return warnings;
}

}  // namespace trainyard::agent
