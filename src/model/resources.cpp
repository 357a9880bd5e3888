// SPDX-License-Identifier: Apache-2.0
#include "model/resources.hpp"

#include <fmt/format.h>

namespace trainyard {

Resources& Resources::operator+=(const Resources& other) {
  vcpus += other.vcpus;
  memory_bytes += other.memory_bytes;
  gpus += other.gpus;
  return *this;
}

Resources& Resources::operator-=(const Resources& other) {
  vcpus -= other.vcpus;
  memory_bytes -= other.memory_bytes;
  gpus -= other.gpus;
  return *this;
}

std::string to_text(const Resources& resources) {
  constexpr double kGib = 1 << 30;
  std::string text = fmt::format("{:g} vCPUs, {:.4g} GiB", resources.vcpus,
                                 static_cast<double>(resources.memory_bytes) / kGib);
  if (resources.gpus == 1) return text + ", 1 GPU";
  return resources.gpus == 0 ? text : fmt::format("{}, {} GPUs", text, resources.gpus);
}

const Resources& InstanceTypes::size_of(const std::string& type) const {
  auto found = sizes.find(type);
  return found == sizes.end() ? other : found->second;
}

}  // namespace trainyard
