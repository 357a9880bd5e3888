// SPDX-License-Identifier: Apache-2.0
// What instance types stand for, and what this host has.
#pragma once

#include "base/file.hpp"
#include "base/result.hpp"
#include "model/resources.hpp"

namespace trainyard {

// config/instance-types.toml. `invalid` names the file, the type and what is wrong.
Result<InstanceTypes> load_instance_types(const fs::path& file);

// NVIDIA's devices of this host.
int64_t count_gpus();

}  // namespace trainyard
