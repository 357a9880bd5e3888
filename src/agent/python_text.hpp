// SPDX-License-Identifier: Apache-2.0
// Values as Python's str() and json.dumps() write them: what script mode hands to scripts.
#pragma once

#include <string>
#include <string_view>

#include "agent/python_value.hpp"

namespace trainyard::agent {

// The hyperparameter's text read as JSON; text that is none stays a string (contract.md G.3).
PythonValue decode_hyperparameter(const std::string& text);

// json.dumps(value, sort_keys=True, separators=(",", ":")), which is ASCII
std::string dump_sorted(const PythonValue& value);

// json.dumps(value)
std::string dump_plain(const PythonValue& value);

// str(value)
std::string python_str(const PythonValue& value);

// A value as command-line argument (contract.md G.6): True, 0.1, [1, 'a'], a=1,b=2, "" for None.
std::string as_argument(const PythonValue& value);

// A value of an SM_* variable (G.5): strings raw, null "", everything else dumped.
std::string as_variable(const PythonValue& value);

// text.upper(), in all alphabets
std::string python_upper(std::string_view text);

}  // namespace trainyard::agent
