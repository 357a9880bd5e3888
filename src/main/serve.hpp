// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard {

struct ServeOptions {
  std::string listen = "127.0.0.1:4600";
  fs::path data_dir;     // made where it does not exist
  fs::path ready_file;   // empty: none
};

// Serves until SIGTERM or SIGINT. Makes the data dir's access key at the first start.
Result<> serve(const ServeOptions& options);

}  // namespace trainyard
