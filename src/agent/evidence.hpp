// SPDX-License-Identifier: Apache-2.0
// What this host knows about a script that failed.
#pragma once

#include "agent/context.hpp"
#include "agent/diagnosis.hpp"

namespace trainyard::agent {

// Call it once nothing of the script runs any more. Where the script ended with data loss, the
// channels' files are read to find the broken record: that may take as long as a download.
Evidence gather_evidence(const Context& context, int exit_code);

}  // namespace trainyard::agent
