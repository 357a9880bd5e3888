// SPDX-License-Identifier: Apache-2.0
// Whether an image keeps to what SageMaker expects of one, before a job finds out.
// https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
#pragma once

#include <string>
#include <vector>

#include "docker/client.hpp"

namespace trainyard::docker {

enum class Finding { good, notice, wrong };

struct ImageFinding {
  Finding kind;
  std::string about;  // "entry point"
  std::string text;
};

// Looks into a container of the image that is made for it, never started, and removed again.
// `not_found`: the daemon has no such image.
Result<std::vector<ImageFinding>> check_image(Client& docker, const std::string& image);

// Where a program of that name is looked for, in an image with these variables; pure.
std::vector<std::string> candidates(const std::string& program, const Image& image);

}  // namespace trainyard::docker
