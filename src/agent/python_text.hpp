// SPDX-License-Identifier: Apache-2.0
// JSON values as Python's str() and json.dumps() write them: what script mode hands to scripts.
#pragma once

#include <string>

#include "base/json.hpp"

namespace trainyard::agent {

// The hyperparameter's text read as JSON; text that is none stays a string (contract.md G.3).
json::value decode_hyperparameter(const std::string& text);

// json.dumps(value, sort_keys=True, separators=(",", ":"))
std::string dump_sorted(const json::value& value);

// A value as command-line argument (contract.md G.6): True, 0.1, [1, 'a'], a=1,b=2, "" for None.
std::string as_argument(const json::value& value);

// A value of an SM_* variable (G.5): strings raw, null "", everything else dumped.
std::string as_variable(const json::value& value);

}  // namespace trainyard::agent
