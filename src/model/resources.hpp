// SPDX-License-Identifier: Apache-2.0
// What instances need of a host, and what instance types stand for. Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace trainyard {

struct Resources {
  double vcpus = 0;
  int64_t memory_bytes = 0;
  int64_t gpus = 0;

  Resources& operator+=(const Resources& other);
  Resources& operator-=(const Resources& other);
  bool operator==(const Resources&) const = default;
};

// "8 vCPUs, 32 GiB, 1 GPU"
std::string to_text(const Resources& resources);

// config/instance-types.toml
struct InstanceTypes {
  std::map<std::string, Resources> sizes;   // by name: "ml.m5.large"
  Resources other{2, int64_t{8} << 30, 0};  // of types that are not listed

  const Resources& size_of(const std::string& type) const;
};

}  // namespace trainyard
