// SPDX-License-Identifier: Apache-2.0
// Whether a folder holds a model that TensorFlow Serving could load.
#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"

namespace trainyard::agent {

// What the TensorFlow images say about /opt/ml/model after a script that went well (contract.md
// I.1); nothing for a SavedModel under a number. `shown`: the folder's name for people.
std::vector<std::string> saved_model_warnings(const fs::path& folder, const std::string& shown);

}  // namespace trainyard::agent
