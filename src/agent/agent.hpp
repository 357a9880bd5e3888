// SPDX-License-Identifier: Apache-2.0
// `trainyard agent --assignment FILE`: a job's life on one host. It needs no server to go on: what
// it has to tell waits until the server is back. Killed and started again on the same folder it
// takes over where it was.
#pragma once

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::agent {

// Returns when the server has taken the last report. SIGTERM stops the job with grace.
Result<> run_agent(const fs::path& assignment_file, const fs::path& program);

}  // namespace trainyard::agent
